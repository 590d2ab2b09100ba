// SPDX-License-Identifier: GPL-2.0-or-later
/* report.c - the records of a run. */
#include "report.h"

#include "allocations.h"
#include "idle.h"
#include "record.h"
#include "sys.h"
#include "text.h"

enum { END_COPIES = 3 };

u64 report_since(const struct report *report, u64 when)
{
	return when > report->begun ? when - report->begun : 0;
}

static void put_counts(const struct report *report, struct record *record)
{
	const struct board *board = report->board;

	record_number(record, "windows", board_read(&board->windows));
	record_number(record, "checks", board_checks(board));
	record_number(record, "corruptions", board_corruptions(board));
	record_number(record, "hits", board_read(&board->hits));
	record_number(record, "tried", board_read(&board->tried));
	record_number(record, "struck", board_read(&board->struck));
}

void report_progress(const struct report *report)
{
	struct record record;

	record_begin(&record, "progress");
	record_time(&record, "t", report_since(report, sys_now()));
	put_counts(report, &record);
	record_write(&record);
}

static void put_finding(const struct report *report, const struct finding *finding)
{
	struct record record;

	record_begin(&record, "corrupt");
	record_time(&record, "t", report_since(report, finding->when));
	record_number(&record, "pid", finding->pid);
	record_word(&record, "role", role_name(finding->owner.role));
	record_number(&record, "id", finding->owner.id);
	record_number(&record, "serial", finding->owner.serial);
	record_number(&record, "windows", finding->windows);
	place_record(&record, finding->place, finding->use);
	record_number(&record, "wrong", finding->wrong);
	record_key(&record, "files");
	settings_put_files(&record, finding->files);
	record_hex(&record, "want", finding->want);
	record_hex(&record, "got", finding->got);
	pattern_record(&record, finding->got);
	record_write(&record);
}

void report_findings(struct report *report)
{
	while (report->findings < FINDINGS &&
	       board_read(&report->board->finding[report->findings].complete))
		put_finding(report, &report->board->finding[report->findings++]);
}

const char *report_vacuous(const struct report *report)
{
	const struct board *board = report->board;

	if (!board_read(&board->windows))
		return board_read(&board->inherited) ? "parent_fpu" : "no_windows";
	if (!board_checks(board))
		return "no_checks";
	if (report->settings && report->settings->pressure && !board_read(&board->pressed))
		return "no_shortage";
	return text_equal(report->environment->fpu, "eager") ? "eager" : "no";
}

void report_allocations(const struct report *report)
{
	const long now = allocations_in_nm();
	struct record record;

	if (report->allocations < 0 || now < report->allocations)
		return;
	record_begin(&record, "allocations");
	record_number(&record, "counted", (u32)(now - report->allocations));
	record_number(&record, "windows", board_read(&report->board->windows));
	/* Killed between the allocation and our count, without another first use. */
	record_number(&record, "others", report->settings->openers);
	record_write(&record);
}

static void put_end(const struct report *report)
{
	const struct board *board = report->board;
	struct record record;

	record_begin(&record, "end");
	record_time(&record, "t", report_since(report, sys_now()));
	put_counts(report, &record);
	record_word(&record, "status", report->status);
	record_word(&record, "reason", report->reason);
	record_word(&record, "vacuous", report_vacuous(report));
	record_number(&record, "attempts", board_read(&board->attempts));
	record_number(&record, "inherited", board_read(&board->inherited));
	record_number(&record, "lost", board_read(&board->lost));
	record_number(&record, "victim_checks", board_read(&board->checks[VICTIM]));
	record_number(&record, "opener_checks", board_read(&board->checks[OPENER]));
	record_number(&record, "victim_corruptions", board_read(&board->corruptions[VICTIM]));
	record_number(&record, "opener_corruptions", board_read(&board->corruptions[OPENER]));
	for (u32 file = 0; file < FILES; file++)
		record_number(&record, file_name((enum file)file),
			      board_read(&board->corrupt_files[file]));
	if (report->settings && report->settings->steady)
		board_tally_record(&record, "steady", &board->tally[STEADY]);
	if (report->settings && report->settings->halt) {
		board_tally_record(&record, "halted", &board->tally[HALTED]);
		record_number(&record, "halts", idle_calls(report->settings->victim_cpu));
	}
	record_number(&record, "pressed", board_read(&board->pressed));
	record_write(&record);
}

void report_end(const struct report *report)
{
	for (u32 copy = 0; copy < END_COPIES; copy++)
		put_end(report);
}

void report_refused(u64 begun, const char *reason)
{
	static const struct board empty;
	static const struct environment nothing = { .fpu = "unknown" };
	const struct report report = {
		.environment = &nothing, .board = &empty, .begun = begun,
		.status = "error", .reason = reason,
	};

	report_end(&report);
}
