/* run.c - start the roles, watch, end, tell. */
#include "run.h"

#include "allocations.h"
#include "board.h"
#include "priority.h"
#include "record.h"
#include "roles.h"
#include "selftest.h"
#include "sys.h"
#include "text.h"

enum {
	TICK = 20000,           /* us between two looks at the board */
	PROGRESS = 1000000,     /* us between two progress records */
	SECOND = 1000000,
	PATIENCE = 4, /* times the length, when windows are rare */
	FAREWELL = 2000000,     /* us to wait for killed roles */
	ROLE_PROCESSES = 64 + 64 + 64 + 1,
	END_COPIES = 3,
};

struct run {
	const struct settings *settings;
	const struct environment *environment;
	struct board *board;
	u64 begun;
	u32 reported; /* findings written */
	long allocations; /* as the kernel had counted them when the openers began */
	int child[ROLE_PROCESSES];
	u32 children;
	const char *status, *reason;
};

static u64 since(const struct run *run, u64 when)
{
	return when > run->begun ? when - run->begun : 0;
}

static void put_counts(const struct run *run, struct record *record)
{
	record_number(record, "windows", board_read(&run->board->windows));
	record_number(record, "checks", board_checks(run->board));
	record_number(record, "corruptions", board_corruptions(run->board));
	record_number(record, "hits", board_read(&run->board->hits));
}

static void put_progress(const struct run *run)
{
	struct record record;

	record_begin(&record, "progress");
	record_time(&record, "t", since(run, sys_now()));
	put_counts(run, &record);
	record_write(&record);
}

static void put_finding(const struct run *run, const struct finding *finding)
{
	struct record record;

	record_begin(&record, "corrupt");
	record_time(&record, "t", since(run, finding->when));
	record_number(&record, "pid", finding->pid);
	record_word(&record, "role", role_name(finding->owner.role));
	record_number(&record, "id", finding->owner.id);
	record_number(&record, "serial", finding->owner.serial);
	record_number(&record, "windows", finding->windows);
	record_word(&record, "reg", "mm");
	record_digits(&record, finding->reg);
	record_number(&record, "wrong", finding->wrong);
	record_hex(&record, "want", finding->want);
	record_hex(&record, "got", finding->got);
	pattern_record(&record, finding->got);
	record_write(&record);
}

static void put_findings(struct run *run)
{
	while (run->reported < FINDINGS &&
	       board_read(&run->board->finding[run->reported].complete))
		put_finding(run, &run->board->finding[run->reported++]);
}

/* Could this run have shown a corruption at all, as far as it knows itself? */
static const char *vacuous(const struct run *run)
{
	if (!board_read(&run->board->windows))
		return "no_windows";
	if (!board_checks(run->board))
		return "no_checks";
	return text_equal(run->environment->fpu, "eager") ? "eager" : "no";
}

/* The kernel's own count beside ours: whoever else used the FPU first is in it too. */
static void put_allocations(const struct run *run)
{
	const long now = allocations_in_nm();
	struct record record;

	if (run->allocations < 0 || now < run->allocations)
		return;
	record_begin(&record, "allocations");
	record_number(&record, "counted", (u32)(now - run->allocations));
	record_number(&record, "windows", board_read(&run->board->windows));
	record_number(&record, "others", run->children);
	record_write(&record);
}

static void put_end(const struct run *run)
{
	const struct board *board = run->board;

	for (u32 copy = 0; copy < END_COPIES; copy++) {
		struct record record;

		record_begin(&record, "end");
		record_time(&record, "t", since(run, sys_now()));
		put_counts(run, &record);
		record_word(&record, "status", run->status);
		record_word(&record, "reason", run->reason);
		record_word(&record, "vacuous", vacuous(run));
		record_number(&record, "attempts", board_read(&board->attempts));
		record_number(&record, "inherited", board_read(&board->inherited));
		record_number(&record, "lost", board_read(&board->lost));
		record_number(&record, "victim_checks", board_read(&board->checks[VICTIM]));
		record_number(&record, "opener_checks", board_read(&board->checks[OPENER]));
		record_number(&record, "victim_corruptions",
			      board_read(&board->corruptions[VICTIM]));
		record_number(&record, "opener_corruptions",
			      board_read(&board->corruptions[OPENER]));
		record_number(&record, "pressed", board_read(&board->pressed));
		record_write(&record);
	}
}

void run_refused(u64 begun, const char *reason)
{
	static struct board empty;
	static const struct environment nothing = { .fpu = "unknown" };
	struct run run = { .environment = &nothing, .board = &empty, .begun = begun };

	run.status = "error";
	run.reason = reason;
	put_end(&run);
}

static int cpu_of(u32 place, u32 id, u32 vcpus)
{
	if (place == PLACE_ANY)
		return CPU_ANY;
	return (int)(place == PLACE_SPREAD ? (id - 1) % vcpus : place);
}

/* Only the fork differs from the caller: what follows is the child's whole life. */
NORETURN static void live(const struct run *run, enum role role, u32 id)
{
	const struct settings *settings = run->settings;
	const u32 place = role == VICTIM ? settings->victim_cpu : settings->opener_cpu;
	const int cpu = cpu_of(place, id, run->environment->vcpus);

	sys_die_with_parent();
	sys_setpgid(0, 0); /* so that an opener's children are ended with it */
	if (cpu != CPU_ANY && !sys_pin(cpu))
		sys_exit(OWN_ERROR);
	sys_schedule(role == VICTIM ? settings->prio : 0);
	if (role == VICTIM)
		victim_run(settings, run->board, id);
	if (role == OPENER)
		opener_run(settings, run->board, id);
	pressure_run(settings, run->board);
}

/* INJECTED stands for the memory pressure, which has no patterns. */
static bool start_role(struct run *run, enum role role, u32 count)
{
	for (u32 id = 1; id <= count; id++) {
		const int pid = sys_fork();

		if (pid == 0)
			live(run, role, id);
		if (pid < 0)
			return false;
		run->child[run->children++] = pid;
	}
	return true;
}

static bool start_roles(struct run *run)
{
	return start_role(run, OPENER, run->settings->openers) &&
	       start_role(run, INJECTED, run->settings->pressure ? 1 : 0) &&
	       start_role(run, VICTIM, run->settings->victims + run->settings->steady);
}

static bool one_of_ours(const struct run *run, int pid)
{
	for (u32 i = 0; i < run->children; i++)
		if (run->child[i] == pid)
			return true;
	return false;
}

/* No role ever ends by itself; as PID 1 others' orphans come here too. */
static bool a_role_ended(const struct run *run)
{
	int status;
	int pid;

	while ((pid = sys_reap(-1, &status, false)) > 0)
		if (one_of_ours(run, pid))
			return true;
	return false;
}

static bool ends(struct run *run, const char *status, const char *reason)
{
	run->status = status;
	run->reason = reason;
	return true;
}

/* Microseconds; a guest whose openers come to run rarely gets more of them. */
static u64 length(struct run *run)
{
	const u64 asked = (u64)run->settings->seconds * SECOND;

	return board_read(&run->board->windows) < run->settings->at_least ? asked * PATIENCE :
									     asked;
}

static bool over(struct run *run, u64 now)
{
	const struct settings *settings = run->settings;

	if (a_role_ended(run))
		return ends(run, "error", "role_ended");
	if (settings->stop && board_read(&run->board->hits) >= settings->stop)
		return ends(run, "stopped", "corruption");
	if (settings->windows && board_read(&run->board->windows) >= settings->windows)
		return ends(run, "ok", "windows");
	if (since(run, now) >= length(run))
		return ends(run, "ok", "time");
	return false;
}

static void watch(struct run *run)
{
	u64 progress = sys_now();

	for (;;) {
		const u64 now = sys_now();

		put_findings(run);
		if (over(run, now))
			return;
		if (now - progress >= PROGRESS) {
			progress = now;
			put_progress(run);
		}
		sys_sleep(TICK);
	}
}

static void end_roles(const struct run *run)
{
	const u64 until = sys_now() + FAREWELL;
	int status;

	for (u32 i = 0; i < run->children; i++) {
		sys_kill(-run->child[i], 9);
		sys_kill(run->child[i], 9);
	}
	while (sys_reap(-1, &status, false) >= 0 && sys_now() < until)
		sys_sleep(1000);
}

static bool pinnable(const struct run *run, u32 place)
{
	int status = 1;
	int pid;

	if (place == PLACE_ANY || place == PLACE_SPREAD)
		return true;
	pid = sys_fork();
	if (pid == 0)
		sys_exit(sys_pin(cpu_of(place, 1, run->environment->vcpus)) ? 0 : 1);
	if (pid > 0)
		sys_reap(pid, &status, true);
	return status == 0;
}

static int judge(const struct run *run)
{
	if (text_equal(run->status, "error"))
		return OWN_ERROR;
	if (board_corruptions(run->board))
		return CORRUPTS;
	return text_equal(vacuous(run), "no") ? CLEAN : VACUOUS;
}

/* inject=1 demands that every role that lives has found something. */
static bool injection_missed(const struct run *run)
{
	const struct board *board = run->board;

	return run->settings->inject && !run->settings->stop &&
	       ((run->settings->victims && !board_read(&board->corruptions[VICTIM])) ||
		(run->settings->openers && !board_read(&board->corruptions[OPENER])));
}

static void do_run(struct run *run)
{
	if (!selftest(run->settings, run->board)) {
		ends(run, "error", "selftest");
		return;
	}
	if (!pinnable(run, run->settings->opener_cpu) ||
	    !pinnable(run, run->settings->victim_cpu)) {
		ends(run, "error", "no_such_cpu");
		return;
	}
	priority_raise(run->settings);
	run->allocations = allocations_in_nm();
	if (start_roles(run))
		watch(run);
	else
		ends(run, "error", "fork");
	end_roles(run);
	put_findings(run);
	put_allocations(run);
	if (text_equal(run->status, "ok") && injection_missed(run))
		ends(run, "error", "injection_missed");
}

int run(const struct settings *settings, const struct environment *environment, u64 begun)
{
	struct run run = { .settings = settings, .environment = environment, .begun = begun };

	run.board = sys_map(sizeof(*run.board), true);
	if (!run.board) {
		run_refused(begun, "no_memory");
		return OWN_ERROR;
	}
	do_run(&run);
	put_end(&run);
	return judge(&run);
}
