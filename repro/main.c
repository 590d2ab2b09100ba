// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mmxstress - does this kernel let one task's FPU registers leak into another's?
 *
 * What is tested
 *   Linux kernels that switch the FPU lazily allocate a task's FPU area in their handler
 *   of #NM, at the task's first FPU instruction, with interrupts enabled and a memory
 *   allocation that may sleep. As a Xen PV guest (dom0 is one) they run that handler with
 *   CR0.TS clear already: Xen's ABI clears it when it delivers #NM. If the handler's task is
 *   preempted there, the context switch believes that TS is still set and leaves it alone;
 *   so the next task runs with the registers of another one, and nothing traps.
 *   The window is open from the handler's sti to the end of the allocation.
 *
 * How
 *   openers   processes that never used the FPU fork children whose first FPU instruction is
 *             a load of MMX, x87 or SSE registers: each child opens exactly one window, and holds its pattern
 *             for a moment
 *   victims   real-time tasks that load the registers, sleep a few times without touching the FPU,
 *             and check; their wake-ups preempt the openers inside the window
 *   Each value names its owner, so a wrong one shows whose it is.
 *
 * Expected
 *   kernel                                  native  hvm  pvh  pv     dom0
 *   2.6.26 .. 4.1, FPU lazy                 clean   clean clean CORRUPTS CORRUPTS
 *   the same with stts() .. clts()          clean   clean clean clean  clean
 *     around the allocation (pv only)
 *   3.7 .. 4.1, FPU eager; 4.2 and later    clean, and vacuous where the FPU is eager:
 *                                           there is no window
 *
 * As PID 1 it reads mmx.key=value words from the kernel's command line, mounts /proc and
 * /sys, and powers off at the end; otherwise it reads key=value arguments and its exit code
 * is 0 clean, 2 usage, 3 vacuous, 4 own error, 6 corruption. README.md has the settings
 * and the records. No libc and no FPU instruction outside registers.c: even printf would use
 * the registers whose corruption it reports.
 */
#include "asm.h"
#include "environment.h"
#include "record.h"
#include "report.h"
#include "run.h"
#include "settings.h"
#include "sys.h"
#include "text.h"

ASM_ENTRY;

enum {
	VERSION = 1,
	COMMAND_LINE = 8192,
	LINGER = 200000,         /* us from the last record to the power-off */
	LINGER_GUEST = 10000000, /* ... where dom0 reads the console, when it gets to run */
};

static bool read_settings(struct settings *settings, bool first, char **words, char reason[64])
{
	static char line[COMMAND_LINE];

	settings_default(settings);
	if (first) {
		sys_read_file("/proc/cmdline", line, sizeof(line));
		return settings_boot_line(settings, line, reason);
	}
	for (; *words; words++)
		if (!settings_word(settings, *words, reason))
			return false;
	return true;
}

static void put_start(const struct settings *settings, bool first)
{
	struct record record;

	record_begin(&record, "start");
	record_number(&record, "version", VERSION);
	record_word(&record, "run", settings->run);
	record_number(&record, "arch", 8 * sizeof(long));
	record_number(&record, "pid1", first);
	settings_record(settings, &record);
	record_write(&record);
}

static int stress(bool first, char **words, struct environment *environment)
{
	const u64 begun = sys_now();
	struct settings settings;
	struct record record;
	char reason[64];

	if (!read_settings(&settings, first, words, reason)) {
		report_refused(begun, reason);
		return USAGE;
	}
	put_start(&settings, first);
	record_belongs(settings.run);
	environment_read(environment);
	record_begin(&record, "env");
	environment_record(environment, &record);
	record_write(&record);
	return run(&settings, environment, begun);
}

/*
 * A guest's console is a ring, and what is still in it is lost with the domain. The reader of
 * the last record destroys the domain, so waiting costs nothing.
 */
static u32 linger(const struct environment *environment)
{
	const bool guest = environment->dom0 && text_equal(environment->dom0, "0") &&
			   !text_equal(environment->xen, "none");

	return guest ? LINGER_GUEST : LINGER;
}

/* As the ABI's entry leaves it: argc, argv..., NULL. */
NORETURN void start(long *stack);

void start(long *stack)
{
	const bool first = sys_getpid() == 1;
	char **words = (char **)(stack + 1);
	struct environment environment = { .dom0 = NULL };
	int code;

	if (first) {
		sys_open_console();
		sys_mount("proc", "/proc");
		sys_mount("sysfs", "/sys");
		record_on_console(true);
	}
	code = stress(first, *words ? words + 1 : words, &environment);
	if (first) {
		sys_drain_console();
		sys_sleep(linger(&environment));
		sys_power_off();
	}
	sys_exit(code);
}
