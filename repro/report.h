/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report.h - what a run reports: the records from `progress` to `end`. */
#ifndef REPORT_H
#define REPORT_H

#include "board.h"
#include "environment.h"
#include "settings.h"

struct report {
	const struct settings *settings;
	const struct environment *environment;
	const struct board *board;
	u64 begun;    /* sys_now() at the program's start */
	u32 findings; /* written so far */
	long allocations; /* in #NM, as the kernel had counted them when the openers began */
	const char *status, *reason;
};

u64 report_since(const struct report *report, u64 when);
void report_progress(const struct report *report);
/* Those that are complete and not written yet. */
void report_findings(struct report *report);
/* The kernel's own count beside ours, if it keeps one. */
void report_allocations(const struct report *report);
/* Why this run could not have shown a corruption, as far as it knows; "no" when it could. */
const char *report_vacuous(const struct report *report);
/* The last record, three times: one lost line loses nothing. */
void report_end(const struct report *report);
/* The same for ends before any run. */
void report_refused(u64 begun, const char *reason);

#endif
