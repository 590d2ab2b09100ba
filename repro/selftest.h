/* SPDX-License-Identifier: GPL-2.0-or-later */
/* selftest.h - does each role's detector see damage? Asked at every start. */
#ifndef SELFTEST_H
#define SELFTEST_H

#include "board.h"
#include "settings.h"

/*
 * Writes one record per role. The checks run in children, so that the caller stays a
 * process that never used the FPU. False when a detector missed something.
 */
bool selftest(const struct settings *settings, struct board *board);

#endif
