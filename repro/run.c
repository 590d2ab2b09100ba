// SPDX-License-Identifier: GPL-2.0-or-later
/* run.c - watch over a run, from the detectors' test to the last record. */
#include "run.h"

#include "allocations.h"
#include "board.h"
#include "crew.h"
#include "report.h"
#include "selftest.h"
#include "sys.h"
#include "text.h"

enum {
	TICK = 20000,       /* us between two looks at the board */
	PROGRESS = 1000000, /* us between two progress records */
	SECOND = 1000000,
	PATIENCE = 4,       /* times the length, when windows are rare */
};

struct run {
	const struct settings *settings;
	struct board *board;
	struct crew crew;
	struct report report;
};

static bool ends(struct run *run, const char *status, const char *reason)
{
	run->report.status = status;
	run->report.reason = reason;
	return true;
}

/* Whether more time can bring the windows or the checks that are still missing. */
static bool lacks(const struct run *run)
{
	const struct settings *settings = run->settings;
	const struct board *board = run->board;
	const bool opens = settings->openers && !settings->parent_fpu;
	const bool checks = settings->openers || settings->victims;

	return (opens && board_read(&board->windows) < settings->at_least) ||
	       (checks && board_checks(board) < settings->checks);
}

/* Microseconds; a guest whose openers or victims rarely get to run gets more time. */
static u64 length(const struct run *run)
{
	const u64 asked = (u64)run->settings->seconds * SECOND;

	return lacks(run) ? asked * PATIENCE : asked;
}

static bool over(struct run *run, u64 now)
{
	const struct settings *settings = run->settings;

	if (crew_ended(&run->crew))
		return ends(run, "error", "role_ended");
	if (settings->stop && board_read(&run->board->hits) >= settings->stop)
		return ends(run, "stopped", "corruption");
	if (settings->windows && board_read(&run->board->windows) >= settings->windows &&
	    !lacks(run))
		return ends(run, "ok", "windows");
	if (settings->tried && board_read(&run->board->tried) >= settings->tried && !lacks(run))
		return ends(run, "ok", "tried");
	if (report_since(&run->report, now) >= length(run))
		return ends(run, "ok", "time");
	return false;
}

static void watch(struct run *run)
{
	u64 progress = sys_now();

	for (;;) {
		const u64 now = sys_now();

		report_findings(&run->report);
		if (over(run, now))
			return;
		if (now - progress >= PROGRESS) {
			progress = now;
			report_progress(&run->report);
		}
		sys_sleep(TICK);
	}
}

static int judge(const struct run *run)
{
	if (text_equal(run->report.status, "error"))
		return OWN_ERROR;
	if (board_corruptions(run->board))
		return CORRUPTS;
	return text_equal(report_vacuous(&run->report), "no") ? CLEAN : VACUOUS;
}

/* inject=1 demands that every running role has found something. */
static bool injection_missed(const struct run *run)
{
	const struct board *board = run->board;

	return run->settings->inject && !run->settings->stop &&
	       ((run->settings->victims && !board_read(&board->corruptions[VICTIM])) ||
		(run->settings->openers && !board_read(&board->corruptions[OPENER])));
}

/* Why these settings cannot be followed here; NULL when they can. */
static const char *impossible(const struct run *run)
{
	const struct settings *settings = run->settings;

	if (!crew_placeable(&run->crew))
		return "no_such_cpu";
	if (settings->pressure && sys_getpid() != 1)
		return "pressure_needs_pid1"; /* it makes the whole machine run out of memory */
	if (!settings->halt)
		return NULL;
	if (sys_getpid() != 1)
		return "halt_needs_pid1"; /* it changes how the machine throttles real-time tasks */
	if (settings->prio)
		return "halt_needs_prio_0"; /* or victims would be held back with the openers */
	return settings->victim_cpu > HIGHEST_CPU ? "halt_needs_a_victim_cpu" : NULL;
}

static void do_run(struct run *run)
{
	const char *why;

	if (!selftest(run->settings, run->board)) {
		ends(run, "error", "selftest");
		return;
	}
	why = impossible(run);
	if (why) {
		ends(run, "error", why);
		return;
	}
	crew_schedule(&run->crew);
	if (crew_start(&run->crew)) {
		run->report.allocations = allocations_in_nm();
		if (crew_go(&run->crew))
			watch(run);
	}
	if (!run->report.status)
		ends(run, "error", "fork");
	crew_kill(&run->crew);
	report_findings(&run->report);
	report_allocations(&run->report);
	if (text_equal(run->report.status, "ok") && injection_missed(run))
		ends(run, "error", "injection_missed");
}

int run(const struct settings *asked, const struct environment *environment, u64 begun)
{
	struct settings lanes = *asked;
	const struct settings *settings = &lanes;
	struct board *board = sys_map(sizeof(*board), true);
	struct run run = { .settings = settings, .board = board };

	settings_spread(&lanes, environment->vcpus);
	if (!board) {
		report_refused(begun, "no_memory");
		return OWN_ERROR;
	}
	run.crew = (struct crew){ .settings = settings, .board = board,
				  .vcpus = environment->vcpus };
	run.report = (struct report){ .settings = settings, .environment = environment,
				      .board = board, .begun = begun,
				      .allocations = -1 };
	do_run(&run);
	report_end(&run.report);
	return judge(&run);
}
