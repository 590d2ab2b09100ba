/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run.h - the supervisor of one run. */
#ifndef RUN_H
#define RUN_H

#include "environment.h"
#include "settings.h"

/* The exit codes of the whole project (lab/exitcodes.py). */
enum { CLEAN = 0, USAGE = 2, VACUOUS = 3, OWN_ERROR = 4, CORRUPTS = 6 };

/*
 * Starts the roles, watches over them without ever using the FPU, ends them, writes the
 * records from `sched` to `end`. `begun`: sys_now() at the program's start.
 */
int run(const struct settings *settings, const struct environment *environment, u64 begun);

#endif
