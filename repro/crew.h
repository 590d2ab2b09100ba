/* crew.h - the processes of a run: openers, victims, memory pressure. */
#ifndef CREW_H
#define CREW_H

#include "board.h"
#include "settings.h"

enum { CREW_MOST = OPENERS_MOST + VICTIMS_MOST + STEADY_MOST + 1 }; /* 1: memory pressure */

struct crew {
	const struct settings *settings;
	struct board *board;
	u32 vcpus;
	int child[CREW_MOST];
	u32 children;
};

/* Are there the vCPUs that the settings name? */
bool crew_placeable(const struct crew *crew);
/* Puts the caller above every role, settles throttling, and writes the `sched` record. */
void crew_schedule(const struct crew *crew);
/* The victims, until they are ready for `crew_go`. False when a fork fails. */
bool crew_start(struct crew *crew);
/* The openers and all else. */
bool crew_go(struct crew *crew);
/* Reaps. No role ever ends by itself: true is an error. */
bool crew_ended(const struct crew *crew);
void crew_kill(const struct crew *crew);

#endif
