// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bare.c - the probe on a processor of its own, in 32-bit mode without paging: native and hvm by
 * a multiboot loader, pvh by Xen. CR0 is the processor's, or what Xen's HVM makes of it.
 */
#include "asm.h"
#include "console.h"
#include "machine.h"
#include "sys.h"
#include "text.h"
#include "xen.h"

enum {
	PAGE = 4096,
	MULTIBOOT = 0x2badb002,
	PVH = 0x336ec578,
	SERIAL = 0x3f8,
	POWER = 0x604, /* ACPI's PM1a control of QEMU's machines */
	POWER_OFF = 0x2000,
	TIMER = 32, SPURIOUS = 255, RETURN = 128,
	KERNEL_GATE = 0x8e, USER_GATE = 0xee,
	TICKS = 1000000, /* of the local APIC's timer: milliseconds */
	LINGER = 1000,   /* halts until a guest ends: some seconds */
};

struct multiboot_info {
	u32 flags, lower, upper, device, command;
};
enum { HAS_COMMAND = 4 };

struct pvh_info {
	u32 magic, version, flags, modules;
	u64 module_list, command;
};

struct gate {
	u16 low, segment;
	u8 zero, type;
	u16 high;
} __attribute__((packed));

struct table {
	u16 limit;
	u32 base;
} __attribute__((packed));

extern void stub_invalid_opcode(void), stub_no_device(void), stub_double_fault(void);
extern void stub_protection(void), stub_page_fault(void), stub_timer(void);
extern void stub_spurious(void), stub_return(void);
extern u32 bare_user_word(void);
extern u32 bare_task[26];
NORETURN void bare_start(u32 number, u32 info);
void bare_timer(struct frame *frame, u32 vector);

u32 bare_task[26]; /* its stack pointer is at 4, the stack's segment at 8 */
static u8 hypercall_page[PAGE] __attribute__((aligned(4096)));
static struct gate gates[256];
static bool on_xen, on_ring;
static u32 console_port;
static volatile u32 ticks;

static volatile u32 *apic(u32 offset)
{
	return (volatile u32 *)(0xfee00000 + offset);
}

static void yield(void)
{
	asm_hypercall(hypercall_page, SCHED_OP, SCHED_YIELD, 0);
}

static void notify(void)
{
	u32 port = console_port;

	asm_hypercall(hypercall_page, EVENT_CHANNEL_OP, EVENT_SEND, (u32)&port);
}

static void serial_begin(void)
{
	static const u8 settings[][2] = {
		{ 1, 0 }, { 3, 0x80 }, { 0, 1 }, { 1, 0 }, { 3, 3 }, { 2, 7 }, { 4, 3 },
	};

	for (u32 i = 0; i < LENGTH(settings); i++)
		asm_out8((u16)(SERIAL + settings[i][0]), settings[i][1]);
}

static void serial_write(const char *text, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++) {
		while (!(asm_in8(SERIAL + 5) & 0x20))
			;
		asm_out8(SERIAL, (u8)text[i]);
	}
}

int sys_write(int fd, const void *from, u32 bytes)
{
	(void)fd;
	if (on_ring)
		console_write(from, bytes);
	else
		serial_write(from, bytes);
	return (int)bytes;
}

NORETURN void machine_end(bool crashed)
{
	u32 reason = crashed ? SHUTDOWN_CRASH : SHUTDOWN_POWER_OFF;

	if (on_ring) {
		console_flush();
		/* What dom0 has not read is lost with the domain; who reads the end destroys it. */
		for (u32 halts = 0; halts < LINGER && !crashed; halts++)
			machine_halt();
	}
	if (on_xen)
		asm_hypercall(hypercall_page, SCHED_OP, SCHED_SHUTDOWN, (u32)&reason);
	while (!(asm_in8(SERIAL + 5) & 0x40))
		;
	for (;;) {
		asm_out16(POWER, POWER_OFF);
		asm_halt_once();
	}
}

void machine_set_ts(void)
{
	asm_write_cr0(asm_read_cr0() | CR0_TS);
}

void machine_clear_ts(void)
{
	asm_clts();
}

bool machine_reads_ts(void)
{
	return asm_read_cr0() & CR0_TS;
}

bool machine_user_word(u32 *word)
{
	*word = bare_user_word();
	return true;
}

void bare_timer(struct frame *frame, u32 vector)
{
	(void)frame;
	(void)vector;
	ticks++;
	*apic(0xb0) = 0; /* end of interrupt */
}

bool machine_halt(void)
{
	const u32 before = ticks;

	*apic(0x380) = TICKS;
	while (ticks == before)
		asm_halt_once();
	return true;
}

/* The question is about Xen's switch of PV vCPUs. */
bool machine_other_begin(void)
{
	return false;
}

bool machine_other_run(void)
{
	return false;
}

void machine_other_end(void)
{
}

static void set_gate(u8 vector, void (*stub)(void), u8 type)
{
	const u32 address = (u32)stub;

	gates[vector] = (struct gate){ .low = (u16)address, .segment = 8, .type = type,
				       .high = (u16)(address >> 16) };
}

static void take_traps(void)
{
	static u64 segments[] = {
		0, 0x00cf9a000000ffff, 0x00cf92000000ffff, /* kernel: code 8, data 16 */
		0x00cffa000000ffff, 0x00cff2000000ffff,    /* user: 0x1b, 0x23 */
		0x0000890000000067,                        /* the task: 40; its address comes below */
	};
	const u64 task = (u32)bare_task;
	const struct table gdt = { sizeof(segments) - 1, (u32)segments };
	const struct table idt = { sizeof(gates) - 1, (u32)gates };

	segments[5] |= (task & 0xffffff) << 16 | task >> 24 << 56;
	bare_task[2] = 16;
	bare_task[25] = sizeof(bare_task) << 16; /* no map of ports */
	set_gate(6, stub_invalid_opcode, KERNEL_GATE);
	set_gate(NO_DEVICE, stub_no_device, KERNEL_GATE);
	set_gate(8, stub_double_fault, KERNEL_GATE);
	set_gate(PROTECTION, stub_protection, KERNEL_GATE);
	set_gate(14, stub_page_fault, KERNEL_GATE);
	set_gate(TIMER, stub_timer, KERNEL_GATE);
	set_gate(SPURIOUS, stub_spurious, KERNEL_GATE);
	set_gate(RETURN, stub_return, USER_GATE);
	asm_load_tables(&gdt, &idt);
	/* The old interrupt controllers stay silent; the local APIC has a timer, once at a time. */
	asm_out8(0x21, 0xff);
	asm_out8(0xa1, 0xff);
	*apic(0xf0) = 0x100 | SPURIOUS;
	*apic(0x3e0) = 0xb;
	*apic(0x320) = TIMER;
}

static u32 parameter(u32 index)
{
	struct hvm_param asked = { .domain = SELF, .index = index };

	asm_hypercall(hypercall_page, HVM_OP, HVM_GET_PARAM, (u32)&asked);
	return (u32)asked.value;
}

/* Xen says by CPUID that it is there, and which register takes the page of hypercalls. */
static void find_xen(struct about *about)
{
	u32 a, b, c, d;

	for (u32 base = 0x40000000; base < 0x40010000; base += 0x100) {
		asm_cpuid(base, &a, &b, &c, &d);
		if (b != 0x566e6558 || c != 0x65584d4d || d != 0x4d4d566e) /* XenVMMXenVMM */
			continue;
		asm_cpuid(base + 2, &a, &b, &c, &d);
		asm_write_msr(b, (u32)hypercall_page);
		on_xen = true;
		about->xen = (u32)asm_hypercall(hypercall_page, XEN_VERSION, VERSION_NUMBER, 0);
		asm_hypercall(hypercall_page, XEN_VERSION, VERSION_EXTRA, (u32)about->extra);
		return;
	}
}

NORETURN void bare_start(u32 number, u32 address)
{
	struct about about = { .kind = "native", .command = "" };
	const struct multiboot_info *loaded = (void *)address;
	const struct pvh_info *started = (void *)address;

	take_traps();
	find_xen(&about);
	if (number == MULTIBOOT) {
		if (loaded->flags & HAS_COMMAND)
			about.command = (const char *)loaded->command;
		if (on_xen)
			about.kind = "hvm";
	} else if (started->magic == PVH) {
		about.command = (const char *)(u32)started->command;
		about.kind = "pvh";
	}
	if (on_xen) {
		console_port = parameter(PARAM_CONSOLE_PORT);
		console_begin((void *)(parameter(PARAM_CONSOLE_FRAME) * PAGE), notify, yield);
		on_ring = true;
	} else {
		serial_begin();
	}
	probe(&about);
}
