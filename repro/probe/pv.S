/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pv.S - a 64-bit PV guest's notes for Xen, its entry, and the stubs that Xen calls. */
	.macro note type, kind:vararg
	.balign 4
	.long 4, 9f - 8f, \type
	.asciz "Xen"
8:	\kind
9:
	.endm

	.section .note.Xen, "a", @note
	note 6, .asciz "probe"        /* guest's system */
	note 5, .asciz "xen-3.0"      /* interface */
	note 8, .asciz "generic"      /* loader */
	note 1, .quad _start          /* entry */
	note 2, .quad hypercall_page

	.text
	.globl _start
_start:
	cld
	lea stack_top(%rip), %rsp
	xor %ebp, %ebp
	mov %rsi, %rdi
	call pv_start
	ud2

	.balign 4096
	.globl hypercall_page
hypercall_page:
	.skip 4096

/* Xen pushes rcx and r11 on top of what a processor does. The way back is its iret. */
	.macro stub name, vector, handler, has_error
	.globl \name
\name:
	pop %rcx
	pop %r11
	.ifeq \has_error
	push $0
	.endif
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	mov $\vector, %esi
	call \handler
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	movq $0, (%rsp)
	jmp hypercall_page + 32 * 23
	.endm

	stub stub_invalid_opcode, 6, trap, 0
	stub stub_no_device, 7, trap, 0
	stub stub_protection, 13, pv_protection, 1
	stub stub_page_fault, 14, trap, 1
	stub stub_event, 0, pv_event, 0
/* Xen could not return to where it had to: never right here. */
	.globl stub_failsafe
stub_failsafe:
	mov $255, %esi
	mov %rsp, %rdi
	call trap
	ud2

	.globl stack_top, other_stack_top
	.bss
	.balign 16
	.skip 16384
stack_top:
	.skip 16384
other_stack_top:

	.section .note.GNU-stack, "", @progbits
