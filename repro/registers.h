/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * registers.h - the register files of the FPU, and the only functions that touch them.
 *
 * mm0..mm7 are the mantissas of the x87 registers. So there are two files to hold values in,
 * the stack (by MMX or by x87 instructions) and SSE's, and the kernel switches them as one.
 */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "types.h"

enum file { MMX, X87, SSE, FILES };

enum { USE_MMX = 1 << MMX, USE_X87 = 1 << X87, USE_SSE = 1 << SSE };

/* Where a value is: 64 bits each, but 16 of an exponent. */
enum {
	STACK = 0,     /* mm0..mm7, or the mantissas of st(0)..st(7) */
	EXPONENT = 8,  /* of st(0)..st(7); x87 only */
	XMM = 16,      /* xmm0 low, xmm0 high, xmm1 low, ... xmm7 high */
	PLACES = 32
};

struct registers {
	u64 value[PLACES];
	u32 use;       /* of the files, but never MMX and x87 at once */
	bool sse_first;
};

void registers_load(const struct registers *registers);
/* Those of `use`. It initialises the x87 registers and leaves the others. */
void registers_store(struct registers *registers);

#endif
