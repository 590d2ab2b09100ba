/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * asm.h - every instruction that C cannot express; entry points and stubs are in pv.S and bare.S.
 *
 * Everything is compiled with -mgeneral-regs-only: the compiler itself uses no FPU register, and
 * asm_use_fpu() is the only place in the probe that does.
 */
#ifndef ASM_H
#define ASM_H

#include "types.h"

/* One instruction that traps when TS is set, and does nothing else that anybody looks at. */
static inline void asm_use_fpu(void)
{
	__asm__ volatile("movd %0, %%mm0" : : "r"(0x1ab) : "memory");
}

static inline void asm_cpuid(u32 leaf, u32 *a, u32 *b, u32 *c, u32 *d)
{
	__asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "a"(leaf), "c"(0));
}

/* In a PV guest Xen emulates it; its value is then the guest's CR0. */
static inline unsigned long asm_read_cr0(void)
{
	unsigned long value;

	__asm__ volatile("mov %%cr0, %0" : "=r"(value) : : "memory");
	return value;
}

#ifdef __x86_64__
/*
 * The processor's own CR0, from user mode; a PV guest's kernel runs there. A trap continues at
 * `*resume`, behind the instruction, with `*word` as it was.
 */
static inline void asm_smsw(u64 *word, u64 *resume)
{
	__asm__ volatile("	movq $1f, %1\n"
			 "	smsw %q0\n"
			 "1:	movq $0, %1"
			 : "+r"(*word), "=m"(*resume)
			 :
			 : "memory");
}

static inline u64 asm_rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

/* Entry `number` of the page that Xen has filled. */
static inline long asm_hypercall(const u8 *page, u32 number, u64 a, u64 b, u64 c, u64 d)
{
	long result = (long)(page + 32 * number);
	register u64 fourth __asm__("r10") = d;

	__asm__ volatile("call *%%rax"
			 : "+a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(fourth)
			 :
			 : "rcx", "r8", "r9", "r11", "memory");
	return result;
}
#else
static inline void asm_write_cr0(unsigned long value)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static inline void asm_clts(void)
{
	__asm__ volatile("clts" : : : "memory");
}

static inline void asm_halt_once(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static inline void asm_out8(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void asm_out16(u16 port, u16 value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8 asm_in8(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void asm_write_msr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

/* Tables, segments and the task register. The code segment is 8, data 16, the task 40. */
static inline void asm_load_tables(const void *gdt, const void *idt)
{
	__asm__ volatile("	lgdt (%0)\n"
			 "	lidt (%1)\n"
			 "	ljmp $8, $1f\n"
			 "1:	mov %2, %%ds\n"
			 "	mov %2, %%es\n"
			 "	mov %2, %%ss\n"
			 "	ltr %w3"
			 :
			 : "r"(gdt), "r"(idt), "r"(16), "r"(40)
			 : "memory");
}

static inline long asm_hypercall(const u8 *page, u32 number, u32 a, u32 b)
{
	long result = (long)(page + 32 * number);

	__asm__ volatile("call *%%eax" : "+a"(result), "+b"(a), "+c"(b) : : "edx", "memory");
	return result;
}
#endif

static inline void asm_barrier(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

#endif
