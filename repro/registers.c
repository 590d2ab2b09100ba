// SPDX-License-Identifier: GPL-2.0-or-later
/* registers.c - the FPU's registers, in functions of their own so that a disassembly proves it. */
#include "registers.h"

#include "asm.h"

enum { CONTROL_AFTER_FNINIT = 0x37f };

static inline void load_x87(const u64 value[PLACES])
{
	/* All tags valid, top of the stack 0: st(n) and mm<n> are the same register. */
	struct x87_image image = { .control = CONTROL_AFTER_FNINIT };

	for (u32 reg = 0; reg < 8; reg++) {
		image.st[reg].mantissa = value[STACK + reg];
		image.st[reg].exponent = (u16)value[EXPONENT + reg];
	}
	asm_x87_load(&image);
}

static inline void store_x87(u64 value[PLACES])
{
	struct x87_image image;

	asm_x87_store(&image);
	for (u32 reg = 0; reg < 8; reg++) {
		value[STACK + reg] = image.st[reg].mantissa;
		value[EXPONENT + reg] = image.st[reg].exponent;
	}
}

void registers_load(const struct registers *registers)
{
	if (registers->sse_first)
		asm_sse_load(registers->value + XMM);
	if (registers->use & USE_MMX)
		asm_mmx_load(registers->value + STACK);
	if (registers->use & USE_X87)
		load_x87(registers->value);
	if (registers->use & USE_SSE && !registers->sse_first)
		asm_sse_load(registers->value + XMM);
}

void registers_store(struct registers *registers)
{
	if (registers->use & USE_MMX)
		asm_mmx_store(registers->value + STACK);
	if (registers->use & USE_X87)
		store_x87(registers->value);
	if (registers->use & USE_SSE)
		asm_sse_store(registers->value + XMM);
}
