/* SPDX-License-Identifier: GPL-2.0-or-later */
/* check.h - hold a pattern in all registers, then look whether it is still there. */
#ifndef CHECK_H
#define CHECK_H

#include "pattern.h"
#include "types.h"

/* What one failed check saw; the first wrong place represents all. */
struct finding {
	u64 when; /* sys_now() */
	u64 want, got;
	u32 pid;
	u32 place;
	u32 use;     /* the files that were checked */
	u32 wrong;   /* how many places */
	u32 files;   /* ... in which files, a bit each */
	u32 windows; /* how many there had been */
	struct owner owner;
	u32 complete; /* written last */
};

/* Damage on purpose between load and check; no damage when place is NOTHING. */
enum { NOTHING = PLACES };

struct damage {
	u32 place;
	u64 value;
};

/* The damage that inject=1 does to this owner's check: none, or each place in turn. */
struct damage damage_for(const struct owner *owner, u32 files, bool inject);

/* From a load to its check. */
struct check {
	struct owner owner;
	struct registers want;
};

/* What will be loaded, in memory only. */
void check_begin(struct check *check, const struct owner *owner, u32 files);
void check_load(const struct check *check);
/*
 * Stores the registers to memory first and compares afterwards. False, and the finding,
 * when one does not hold this owner's pattern.
 */
bool check_passes(const struct check *check, const struct damage *damage,
		  struct finding *finding);

#endif
