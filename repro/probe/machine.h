/* SPDX-License-Identifier: GPL-2.0-or-later */
/* machine.h - what the questions need of the machine below: pv.c (64 bit) or bare.c (32 bit). */
#ifndef MACHINE_H
#define MACHINE_H

#include "types.h"

enum { CR0_TS = 1 << 3 };
enum vector { NO_DEVICE = 7, PROTECTION = 13 };

/* What a trap's stub has put on the stack (pv.S, bare.S), lowest address first. */
#ifdef __x86_64__
struct frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, di, si, bp, bx, dx, cx, ax;
	u64 error, ip, cs, flags, sp, ss;
};
#else
struct frame {
	u32 di, si, bp, unused, bx, dx, cx, ax;
	u32 error, ip, cs, flags;
};
#endif

struct about {
	const char *kind;    /* dom0, pv, pvh, hvm, native */
	const char *command; /* the command line */
	u32 xen;             /* its version, major << 16 | minor; 0 without Xen */
	char extra[17];      /* what Xen adds to it */
};

/* The entry of both kinds, by their first C function. */
NORETURN void probe(const struct about *about);
/* Every trap but the machine's own, by its stub. */
void trap(struct frame *frame, u32 vector);

/* TS as a kernel sets, clears and reads it on this machine. */
void machine_set_ts(void);
void machine_clear_ts(void);
bool machine_reads_ts(void);
/* TS as the instruction smsw shows it in the processor's user mode; what it stored, in `word`.
   False where the processor refuses it. */
bool machine_user_word(u32 *word);
/* Halt until a timer's event. False when the processor did not halt. */
bool machine_halt(void);
/* Another vCPU on this processor, which uses the FPU: it begins, runs once while this one halts,
   ends. False when no other can begin, or when it did not run. */
bool machine_other_begin(void);
bool machine_other_run(void);
void machine_other_end(void);
/* Off; `crashed` is for the hypervisor's log. */
NORETURN void machine_end(bool crashed);

#endif
