/* SPDX-License-Identifier: GPL-2.0-or-later */
/* board.h - memory that all processes of a run share: what was counted, what was found. */
#ifndef BOARD_H
#define BOARD_H

#include "aim.h"
#include "check.h"
#include "settings.h"
#include "types.h"

enum { FINDINGS = 50 };

/* Checks of victims that are also counted separately. */
enum tally_of {
	STEADY, /* victims that use the FPU at every wake-up */
	HALTED, /* a short nap, in which the vCPU halted, was the last thing before the check */
	TALLIES
};

struct tally {
	u32 checks, corruptions;
};

struct board {
	u32 ready, go;            /* victims that have used the FPU; now they may begin */
	u32 attempts;             /* first FPU instructions about to be executed */
	u32 windows;              /* ... and completed */
	u32 inherited;            /* first uses of children whose parent had used the FPU */
	u32 tried;                /* windows in which a victim woke that a changed register shows */
	u32 struck;               /* ... and its check failed */
	u32 lost;                 /* opener children that ended by a signal, or fork failures */
	u32 checks[ROLES];        /* by role */
	u32 corruptions[ROLES];   /* failed checks, by role */
	struct tally tally[TALLIES];
	u32 hits;                 /* windows in which a check failed: one each, however many failed */
	u32 last_hit;             /* the window of the last of them, counted from 1; 0: none */
	u32 gathered;             /* pressure: openers' children that waited for a shortage */
	u32 fuses;                /* ... fuses that were ready */
	u32 shortages;            /* ... how often it was made */
	u32 pressed;              /* ... how often the kernel killed a fuse: memory did run short */
	u32 found;                /* findings claimed, of all roles */
	struct finding finding[FINDINGS];
	u32 corrupt_files[FILES]; /* failed checks, by register file */
	struct lane lane[OPENERS_MOST];
	struct target target[VICTIMS_MOST];
	struct tally tested[ROLES][FILES]; /* selftest: `corruptions` are what was caught */
};

void board_count(u32 *counter);
u32 board_read(const u32 *counter);
/* One check and its outcome: NULL when the pattern held. */
void board_check(struct board *board, enum role role, const struct finding *failed);
/* A window in which a victim woke; each counts once. */
void board_try(struct board *board, struct lane *lane, u32 window, bool failed);
void board_tally(struct tally *tally, bool failed);
/* key=checks/corruptions */
void board_tally_record(struct record *record, const char *key, const struct tally *tally);
u32 board_checks(const struct board *board);
u32 board_corruptions(const struct board *board);

#endif
