/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xen.h - as much of Xen's public interface as the probe uses (xen/include/public). */
#ifndef XEN_H
#define XEN_H

#include "types.h"

enum hypercall {
	SET_TRAP_TABLE = 0,
	SET_CALLBACKS = 4,
	FPU_TASKSWITCH = 5,
	UPDATE_VA_MAPPING = 14,
	SET_TIMER_OP = 15,
	XEN_VERSION = 17,
	CONSOLE_IO = 18,
	VCPU_OP = 24,
	SCHED_OP = 29,
	EVENT_CHANNEL_OP = 32,
	HVM_OP = 34,
};

enum { VERSION_NUMBER = 0, VERSION_EXTRA = 1 };
enum { SCHED_YIELD = 0, SCHED_BLOCK = 1, SCHED_SHUTDOWN = 2 };
enum { SHUTDOWN_POWER_OFF = 0, SHUTDOWN_REBOOT = 1, SHUTDOWN_CRASH = 3 };
enum { EVENT_BIND_VIRQ = 1, EVENT_SEND = 4, VIRQ_TIMER = 0 };
enum { HVM_GET_PARAM = 1, PARAM_CONSOLE_FRAME = 17, PARAM_CONSOLE_PORT = 18 };
enum { VCPU_INITIALISE = 0, VCPU_UP = 1, VCPU_DOWN = 2, VCPU_IS_UP = 3, VCPU_RUNSTATE = 4 };
enum { START_DOM0 = 2 }; /* of start_info.flags */
enum { SELF = 0x7ff0 };  /* DOMID_SELF */

struct bind_virq {
	u32 virq, vcpu, port;
};

struct hvm_param {
	u16 domain, unused;
	u32 index;
	u64 value;
};

/* What a guest and the console's daemon share. */
struct console_ring {
	char in[1024];
	char out[2048];
	u32 in_read, in_written, out_read, out_written;
};

#ifdef __x86_64__
/* For a 64-bit PV guest. */
enum { CODE = 0xe033, DATA = 0xe02b };

struct start_info {
	char magic[32];
	u64 pages, shared_info;
	u32 flags, unused1;
	u64 store_frame;
	u32 store_port, unused2;
	u64 console_frame;
	u32 console_port, unused3;
	u64 page_tables, page_table_frames;
	const u64 *frames; /* by page */
	u64 module, module_bytes;
	char command[1024];
};

struct trap_info {
	u8 vector, flags;
	u16 cs;
	u64 address;
};

struct vcpu_info {
	u8 pending, mask;
	u64 selector;
	u64 arch[2];
	u32 version, unused;
	u64 tsc, nanoseconds;
	u32 multiplier;
	signed char shift;
	u8 flags, unused2[2];
};

struct shared_info {
	struct vcpu_info vcpu[32];
	u64 pending[64], mask[64];
};

struct runstate {
	u32 state, unused;
	u64 since;
	u64 time[4]; /* running, runnable, blocked, offline */
};
enum { BLOCKED = 2 };

struct vcpu_context {
	u8 fpu[512];
	u64 flags;
	struct {
		u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
		u64 error, ip, cs, rflags, sp, ss, es, ds, fs, gs;
	} registers;
	struct trap_info traps[256];
	u64 ldt, ldt_entries, gdt_frames[16], gdt_entries;
	u64 kernel_ss, kernel_sp, control[8], debug[8];
	u64 event, failsafe, syscall, vm_assist;
	u64 fs_base, gs_base_kernel, gs_base_user;
};
enum { CONTEXT_IN_KERNEL = 1 << 2 };
#endif

#endif
