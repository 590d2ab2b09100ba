// SPDX-License-Identifier: GPL-2.0-or-later
/* crew.c - start the roles, each in its place; end them all. */
#include "crew.h"

#include "pressure.h"
#include "record.h"
#include "roles.h"
#include "sys.h"
#include "text.h"

enum {
	FAREWELL = 2000000,   /* us to wait for killed roles */
	READY = 2000000,      /* ... and for victims that get ready */
	SUPERVISOR_PRIO = 95, /* above every role, if not their fuse: they must not delay the end */
	HELD_BACK_PRIO = 1,   /* openers with halt=1 */
};

static const char throttle[] = "/proc/sys/kernel/sched_rt_runtime_us";
static const char throttle_period[] = "/proc/sys/kernel/sched_rt_period_us";

static int cpu_of(u32 place, u32 id, u32 vcpus)
{
	if (place == PLACE_ANY)
		return CPU_ANY;
	return (int)(place == PLACE_SPREAD ? (id - 1) % vcpus : place);
}

static u32 priority(const struct settings *settings, enum role role)
{
	if (role == VICTIM)
		return settings->prio;
	if (role == OPENER)
		return settings->halt ? HELD_BACK_PRIO : settings->opener_prio;
	return 0;
}

/* The child after its fork: it never returns. */
NORETURN static void live(const struct crew *crew, enum role role, u32 id)
{
	const struct settings *settings = crew->settings;
	const u32 place = role == VICTIM ? settings->victim_cpu : settings->opener_cpu;
	const int cpu = cpu_of(place, id, crew->vcpus);

	sys_die_with_parent();
	sys_setpgid(0, 0); /* so that an opener's children are ended with it */
	if (cpu != CPU_ANY && !sys_pin(cpu))
		sys_exit(1);
	sys_schedule(priority(settings, role));
	if (role == VICTIM)
		victim_run(settings, crew->board, id);
	if (role == OPENER)
		opener_run(settings, crew->board, id);
	pressure_run(settings, crew->board);
}

/* INJECTED is the memory pressure here, which has no patterns. */
static bool start_role(struct crew *crew, enum role role, u32 count)
{
	for (u32 id = 1; id <= count; id++) {
		const int pid = sys_fork();

		if (pid == 0)
			live(crew, role, id);
		if (pid < 0)
			return false;
		crew->child[crew->children++] = pid;
	}
	return true;
}

/*
 * The one FPU use of the supervisor: from now on every process inherits an area, also the
 * victims, whose own first use would otherwise be a window. Its registers do not matter.
 */
static void use_fpu(u32 files)
{
	const struct owner nobody = { INJECTED, 1, 1 };
	struct check check;

	check_begin(&check, &nobody, files);
	check_load(&check);
}

static u32 victims(const struct crew *crew)
{
	return crew->settings->victims + crew->settings->steady;
}

bool crew_start(struct crew *crew)
{
	const u64 until = sys_now() + READY;

	if (crew->settings->parent_fpu)
		use_fpu(crew->settings->files);
	if (!start_role(crew, VICTIM, victims(crew)))
		return false;
	while (board_read(&crew->board->ready) < victims(crew) && sys_now() < until)
		sys_sleep(1000);
	return true;
}

bool crew_go(struct crew *crew)
{
	if (!start_role(crew, OPENER, crew->settings->openers) ||
	    !start_role(crew, INJECTED, crew->settings->pressure ? 1 : 0))
		return false;
	if (crew->settings->pressure)
		sys_own_memory(); /* at our priority we would wait for pages forever */
	board_count(&crew->board->go);
	return true;
}

static bool one_of_ours(const struct crew *crew, int pid)
{
	for (u32 i = 0; i < crew->children; i++)
		if (crew->child[i] == pid)
			return true;
	return false;
}

/* As PID 1 this also reaps orphans of other processes. */
bool crew_ended(const struct crew *crew)
{
	int status;
	int pid;

	while ((pid = sys_reap(-1, &status, false)) > 0)
		if (one_of_ours(crew, pid))
			return true;
	return false;
}

void crew_kill(const struct crew *crew)
{
	const u64 until = sys_now() + FAREWELL;
	int status;

	for (u32 i = 0; i < crew->children; i++) {
		sys_kill(-crew->child[i], 9);
		sys_kill(crew->child[i], 9);
	}
	while (sys_reap(-1, &status, false) >= 0 && sys_now() < until)
		sys_sleep(1000);
}

static bool pinnable(const struct crew *crew, u32 place)
{
	int status = 1;
	int pid;

	if (place == PLACE_ANY || place == PLACE_SPREAD)
		return true;
	pid = sys_fork();
	if (pid == 0)
		sys_exit(sys_pin(cpu_of(place, 1, crew->vcpus)) ? 0 : 1);
	if (pid > 0)
		sys_reap(pid, &status, true);
	return status == 0;
}

bool crew_placeable(const struct crew *crew)
{
	return pinnable(crew, crew->settings->opener_cpu) &&
	       pinnable(crew, crew->settings->victim_cpu);
}

/*
 * PID 1 turns the throttling of real-time tasks off, or has openers held back by it for half
 * of every 20 ms: also in a window, and when all others sleep the vCPU then halts.
 */
static const char *throttling(const struct settings *settings)
{
	char limit[24];

	if (sys_getpid() == 1 && settings->halt &&
	    sys_write_file(throttle, "10000\n") && sys_write_file(throttle_period, "20000\n"))
		return "half";
	if (sys_getpid() == 1 && !settings->halt && sys_write_file(throttle, "-1\n"))
		return "off";
	if (sys_read_file(throttle, limit, sizeof(limit)) < 0)
		return "unknown";
	return text_after(limit, "-1") ? "off" : "kept";
}

/* An ordinary user gets no real-time priority: the run continues, and reports it. */
void crew_schedule(const struct crew *crew)
{
	const struct settings *settings = crew->settings;
	const bool wanted = settings->prio || settings->opener_prio || settings->halt;
	const bool fifo = wanted && sys_schedule(SUPERVISOR_PRIO);
	struct record record;

	record_begin(&record, "sched");
	record_word(&record, "fifo", fifo ? "yes" : wanted ? "refused" : "unwanted");
	record_word(&record, "throttling", throttling(settings));
	record_word(&record, "openers_parent", settings->parent_fpu ? "fpu" : "clean");
	record_write(&record);
}
