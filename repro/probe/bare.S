/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bare.S - a 32-bit image for a multiboot loader and for Xen's PVH guests: entry and stubs. */
	.section .multiboot, "a"
	.balign 4
	.long 0x1badb002, 0, -0x1badb002

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 4, 18        /* where a PVH guest begins, in 32-bit mode without paging */
	.asciz "Xen"
	.long _start

	.text
	.code32
	.globl _start
_start:
	cli
	cld
	mov $stack_top, %esp
	xor %ebp, %ebp
	push %ebx             /* what the loader left: multiboot's or Xen's information */
	push %eax             /* multiboot's number, or anything */
	call bare_start
	ud2

	.macro stub name, vector, handler, has_error
	.globl \name
\name:
	.ifeq \has_error
	push $0
	.endif
	pusha
	cld
	mov %esp, %eax
	push $\vector
	push %eax
	call \handler
	add $8, %esp
	popa
	add $4, %esp
	iret
	.endm

	stub stub_invalid_opcode, 6, trap, 0
	stub stub_no_device, 7, trap, 0
	stub stub_double_fault, 8, trap, 1
	stub stub_protection, 13, trap, 1
	stub stub_page_fault, 14, trap, 1
	stub stub_timer, 32, bare_timer, 0

	.globl stub_spurious
stub_spurious:
	iret

/* u32 bare_user_word(void): smsw in ring 3. The way back is an interrupt gate. */
	.globl bare_user_word
bare_user_word:
	push %ebx
	push %esi
	push %edi
	push %ebp
	mov %esp, kernel_stack
	mov %esp, bare_task + 4
	push $0x23
	push %esp
	pushf
	push $0x1b
	push $1f
	iret
1:	mov $-1, %eax
	smsw %eax
	int $0x80

	.globl stub_return
stub_return:
	mov $16, %ecx         /* the way to ring 3 has emptied them */
	mov %ecx, %ds
	mov %ecx, %es
	mov kernel_stack, %esp
	pop %ebp
	pop %edi
	pop %esi
	pop %ebx
	ret

	.bss
	.balign 4
kernel_stack:
	.skip 4
	.balign 16
	.skip 16384
stack_top:

	.section .note.GNU-stack, "", @progbits
