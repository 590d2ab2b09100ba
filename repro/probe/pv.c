// SPDX-License-Identifier: GPL-2.0-or-later
/* pv.c - the probe as a 64-bit PV guest, dom0 or not: hypercalls, events, a second vCPU. */
#include "asm.h"
#include "console.h"
#include "machine.h"
#include "sys.h"
#include "text.h"
#include "xen.h"

enum {
	PAGE = 4096,
	WRITABLE = 7,     /* present, writable, user: a PV guest's kernel runs in user mode */
	INVALIDATE = 2,   /* UVMF_INVLPG */
	NAP = 2000000,    /* nanoseconds of a halt */
	LINGER = 5000,    /* naps until a guest ends: some 10 s */
	PATIENCE = 50,    /* tries */
	MASK_EVENTS = 4,  /* of trap_info.flags */
};

#define MACHINE_TO_PAGE ((const u64 *)0xffff800000000000)

extern u8 hypercall_page[PAGE], stack_top[], other_stack_top[];
extern void stub_invalid_opcode(void), stub_no_device(void), stub_protection(void);
extern void stub_page_fault(void), stub_event(void), stub_failsafe(void);
NORETURN void pv_start(const struct start_info *info);
void pv_event(struct frame *frame, u32 vector);
void pv_protection(struct frame *frame, u32 vector);

static u8 shared_page[PAGE] __attribute__((aligned(4096)));
static volatile struct shared_info *const shared = (void *)shared_page;
static const struct start_info *start;
static volatile u64 other_turns;
static volatile bool other_ends;
static u64 resume;

static long hypercall(u32 number, u64 a, u64 b, u64 c, u64 d)
{
	return asm_hypercall(hypercall_page, number, a, b, c, d);
}

static bool is_dom0(void)
{
	return start->flags & START_DOM0;
}

static void yield(void)
{
	hypercall(SCHED_OP, SCHED_YIELD, 0, 0, 0);
}

static void notify(void)
{
	u32 port = start->console_port;

	hypercall(EVENT_CHANNEL_OP, EVENT_SEND, (u64)&port, 0, 0);
}

int sys_write(int fd, const void *from, u32 bytes)
{
	(void)fd;
	if (is_dom0())
		hypercall(CONSOLE_IO, 0, bytes, (u64)from, 0);
	else
		console_write(from, bytes);
	return (int)bytes;
}

NORETURN void machine_end(bool crashed)
{
	/* Xen halts the machine when dom0 powers off by this call; rebooted, QEMU ends. */
	u32 reason = is_dom0() ? SHUTDOWN_REBOOT : SHUTDOWN_POWER_OFF;

	if (!is_dom0()) {
		console_flush();
		/* What dom0 has not read is lost with the domain; who reads the end destroys it. */
		for (u32 naps = 0; naps < LINGER; naps++)
			machine_halt();
	}
	if (crashed)
		reason = SHUTDOWN_CRASH;
	for (;;)
		hypercall(SCHED_OP, SCHED_SHUTDOWN, (u64)&reason, 0, 0);
}

void machine_set_ts(void)
{
	hypercall(FPU_TASKSWITCH, 1, 0, 0, 0);
}

void machine_clear_ts(void)
{
	hypercall(FPU_TASKSWITCH, 0, 0, 0, 0);
}

bool machine_reads_ts(void)
{
	return asm_read_cr0() & CR0_TS;
}

bool machine_user_word(u32 *word)
{
	u64 value = ~0ull;

	asm_smsw(&value, &resume);
	*word = (u32)value;
	return value != ~0ull;
}

/* smsw is refused where the processor has UMIP and Xen does not emulate it. */
static bool resumed(struct frame *frame)
{
	if (!resume)
		return false;
	frame->ip = resume;
	resume = 0;
	return true;
}

void pv_event(struct frame *frame, u32 vector)
{
	(void)frame;
	(void)vector;
	shared->vcpu[0].pending = 0;
	shared->vcpu[0].selector = 0;
	shared->pending[0] = 0;
}

void pv_protection(struct frame *frame, u32 vector)
{
	if (!resumed(frame))
		trap(frame, vector);
}

static u64 now(void)
{
	const volatile struct vcpu_info *info = &shared->vcpu[0];
	u64 delta, since;
	u32 version;

	do {
		version = info->version;
		asm_barrier();
		delta = asm_rdtsc() - info->tsc;
		delta = info->shift < 0 ? delta >> -info->shift : delta << info->shift;
		since = info->nanoseconds + (u64)((unsigned __int128)delta * info->multiplier >> 32);
		asm_barrier();
	} while (version & 1 || version != info->version);
	return since;
}

static u64 blocked_for(void)
{
	struct runstate found = { .state = 0 };

	hypercall(VCPU_OP, VCPU_RUNSTATE, 0, (u64)&found, 0);
	return found.time[BLOCKED];
}

bool machine_halt(void)
{
	const u64 before = blocked_for();

	/* With an event pending already it does not halt: one can be, at first. */
	for (u32 times = 0; times < PATIENCE && blocked_for() == before; times++) {
		hypercall(SET_TIMER_OP, now() + NAP, 0, 0, 0);
		/* It unmasks events; what ends it is delivered before it returns. */
		hypercall(SCHED_OP, SCHED_BLOCK, 0, 0, 0);
		shared->vcpu[0].mask = 1;
	}
	return blocked_for() > before;
}

static NORETURN void other(void)
{
	while (!other_ends) {
		asm_use_fpu();
		other_turns++;
		yield();
	}
	for (;;)
		hypercall(VCPU_OP, VCPU_DOWN, 1, 0, 0);
}

bool machine_other_begin(void)
{
	static struct vcpu_context context;
	const u64 table = start->page_tables / PAGE;

	context.flags = CONTEXT_IN_KERNEL;
	context.registers.ip = (u64)other;
	context.registers.cs = CODE;
	context.registers.ss = DATA;
	context.registers.sp = (u64)other_stack_top - 8;
	context.kernel_ss = DATA;
	context.kernel_sp = (u64)other_stack_top;
	context.control[3] = start->frames[table] * PAGE;
	context.event = (u64)stub_event;
	context.failsafe = (u64)stub_failsafe;
	shared->vcpu[1].mask = 1;
	return !hypercall(VCPU_OP, VCPU_INITIALISE, 1, (u64)&context, 0) &&
	       !hypercall(VCPU_OP, VCPU_UP, 1, 0, 0);
}

bool machine_other_run(void)
{
	const u64 before = other_turns;

	/* The other one may keep the processor for longer than a nap, or have ended. */
	for (u32 halts = 0; halts < PATIENCE && other_turns == before; halts++)
		machine_halt();
	return other_turns != before;
}

void machine_other_end(void)
{
	other_ends = true;
	for (u32 halts = 0; halts < PATIENCE && hypercall(VCPU_OP, VCPU_IS_UP, 1, 0, 0) == 1; halts++)
		machine_halt();
}

static void take_traps(void)
{
	static const struct {
		u8 vector;
		void (*stub)(void);
	} known[] = {
		{ 6, stub_invalid_opcode },
		{ NO_DEVICE, stub_no_device },
		{ PROTECTION, stub_protection },
		{ 14, stub_page_fault },
	};
	struct trap_info table[LENGTH(known) + 1] = { { .vector = 0 } };
	struct bind_virq timer = { .virq = VIRQ_TIMER, .vcpu = 0 };

	for (u32 i = 0; i < LENGTH(known); i++) {
		table[i].vector = known[i].vector;
		table[i].flags = MASK_EVENTS;
		table[i].cs = CODE;
		table[i].address = (u64)known[i].stub;
	}
	hypercall(SET_TRAP_TABLE, (u64)table, 0, 0, 0);
	hypercall(SET_CALLBACKS, (u64)stub_event, (u64)stub_failsafe, 0, 0);
	hypercall(UPDATE_VA_MAPPING, (u64)shared_page, start->shared_info | WRITABLE, INVALIDATE, 0);
	shared->vcpu[0].mask = 1;
	hypercall(EVENT_CHANNEL_OP, EVENT_BIND_VIRQ, (u64)&timer, 0, 0);
}

NORETURN void pv_start(const struct start_info *info)
{
	struct about about = { .kind = "pv", .command = info->command };

	start = info;
	if (is_dom0()) {
		about.kind = "dom0";
	} else {
		const u64 page = MACHINE_TO_PAGE[info->console_frame];

		console_begin((void *)(page * PAGE), notify, yield);
	}
	about.xen = (u32)hypercall(XEN_VERSION, VERSION_NUMBER, 0, 0, 0);
	hypercall(XEN_VERSION, VERSION_EXTRA, (u64)about.extra, 0, 0);
	take_traps();
	probe(&about);
}
