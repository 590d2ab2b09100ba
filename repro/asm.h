/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * asm.h - every instruction that C cannot express: the entry point, system calls,
 * CPUID, and the MMX, x87 and SSE registers.
 *
 * Everything is compiled with -mgeneral-regs-only, so the compiler itself never
 * touches an FPU, MMX or SSE register: every such instruction in the program
 * is here. For the same reason those registers are not named as clobbers
 * (gcc would reject them); nothing else in the program uses them.
 */
#ifndef ASM_H
#define ASM_H

#include "types.h"

/* The kernel enters with argc, argv on the stack; start() (main.c) never returns. */
#ifdef __x86_64__
#define ASM_ENTRY                                                                        \
	__asm__(".text\n.globl _start\n_start:\n"                                        \
		"	xor %ebp, %ebp\n"                                                \
		"	mov %rsp, %rdi\n"                                                \
		"	and $-16, %rsp\n"                                                \
		"	call start\n"                                                    \
		"	ud2\n")
#else
#define ASM_ENTRY                                                                        \
	__asm__(".text\n.globl _start\n_start:\n"                                        \
		"	xor %ebp, %ebp\n"                                                \
		"	mov %esp, %eax\n"                                                \
		"	and $-16, %esp\n"                                                \
		"	sub $12, %esp\n"                                                 \
		"	push %eax\n"                                                     \
		"	call start\n"                                                    \
		"	ud2\n")
#endif

/* A system call of at most five arguments; negative results are -errno. */
static inline long asm_syscall(long number, long a, long b, long c, long d, long e)
{
	long result;
#ifdef __x86_64__
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
#else
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory");
#endif
	return result;
}

#ifdef __x86_64__
/* mmap is the one call here of six arguments; i386 has a form that takes a pointer. */
static inline long asm_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#endif

static inline void asm_cpuid(u32 leaf, u32 *a, u32 *b, u32 *c, u32 *d)
{
	__asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(0));
}

/* Cycles of the processor's clock, or what Xen shows as such. */
static inline u64 asm_tsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

static inline void asm_mmx_load(const u64 from[8])
{
	__asm__ volatile("movq   (%0), %%mm0\n\t"
			 "movq  8(%0), %%mm1\n\t"
			 "movq 16(%0), %%mm2\n\t"
			 "movq 24(%0), %%mm3\n\t"
			 "movq 32(%0), %%mm4\n\t"
			 "movq 40(%0), %%mm5\n\t"
			 "movq 48(%0), %%mm6\n\t"
			 "movq 56(%0), %%mm7"
			 :
			 : "r"(from)
			 : "memory");
}

static inline void asm_mmx_store(u64 to[8])
{
	__asm__ volatile("movq %%mm0,   (%0)\n\t"
			 "movq %%mm1,  8(%0)\n\t"
			 "movq %%mm2, 16(%0)\n\t"
			 "movq %%mm3, 24(%0)\n\t"
			 "movq %%mm4, 32(%0)\n\t"
			 "movq %%mm5, 40(%0)\n\t"
			 "movq %%mm6, 48(%0)\n\t"
			 "movq %%mm7, 56(%0)"
			 :
			 : "r"(to)
			 : "memory");
}

/* What FNSAVE writes and FRSTOR reads with 32-bit operands, in either mode: 108 bytes. */
struct x87_image {
	u32 control, status, tags, instruction[2], operand[2];
	struct {
		u64 mantissa;
		u16 exponent; /* and sign */
	} __attribute__((packed)) st[8];
} __attribute__((packed));

static inline void asm_x87_load(const struct x87_image *from)
{
	__asm__ volatile("frstor (%0)" : : "r"(from) : "memory");
}

/* It leaves the FPU initialised; the register contents have been read as they were. */
static inline void asm_x87_store(struct x87_image *to)
{
	__asm__ volatile("fnsave (%0)" : : "r"(to) : "memory");
}

static inline void asm_sse_load(const u64 from[16])
{
	__asm__ volatile("movups    (%0), %%xmm0\n\t"
			 "movups  16(%0), %%xmm1\n\t"
			 "movups  32(%0), %%xmm2\n\t"
			 "movups  48(%0), %%xmm3\n\t"
			 "movups  64(%0), %%xmm4\n\t"
			 "movups  80(%0), %%xmm5\n\t"
			 "movups  96(%0), %%xmm6\n\t"
			 "movups 112(%0), %%xmm7"
			 :
			 : "r"(from)
			 : "memory");
}

static inline void asm_sse_store(u64 to[16])
{
	__asm__ volatile("movups %%xmm0,    (%0)\n\t"
			 "movups %%xmm1,  16(%0)\n\t"
			 "movups %%xmm2,  32(%0)\n\t"
			 "movups %%xmm3,  48(%0)\n\t"
			 "movups %%xmm4,  64(%0)\n\t"
			 "movups %%xmm5,  80(%0)\n\t"
			 "movups %%xmm6,  96(%0)\n\t"
			 "movups %%xmm7, 112(%0)"
			 :
			 : "r"(to)
			 : "memory");
}

#endif
