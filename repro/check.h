/* check.h - hold a pattern in all eight registers, then look whether it is still there. */
#ifndef CHECK_H
#define CHECK_H

#include "pattern.h"
#include "types.h"

/* What one failed check saw; the first wrong register stands for all. */
struct finding {
	u64 when; /* sys_now() */
	u64 want, got;
	u32 pid;
	u32 reg;
	u32 wrong; /* how many of the eight */
	u32 windows; /* how many there had been */
	struct owner owner;
	u32 complete; /* written last */
};

/* Damage on purpose between load and check; no damage when reg is NOTHING. */
enum { NOTHING = 8 };

struct damage {
	u32 reg;
	u64 value;
};

/* The damage that inject=1 does to this owner's check: none, or each register in turn. */
struct damage damage_for(const struct owner *owner, bool inject);

void check_load(const struct owner *owner);
/*
 * Stores the registers to memory first and compares afterwards. False, and the finding,
 * when one does not hold this owner's pattern.
 */
bool check_passes(const struct owner *owner, const struct damage *damage,
		  struct finding *finding);

#endif
