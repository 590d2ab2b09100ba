/* SPDX-License-Identifier: GPL-2.0-or-later */
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

/* Whether the vCPUs that the settings name exist. */
bool crew_placeable(const struct crew *crew);
/* Raises the caller above every role, sets throttling, and writes the `sched` record. */
void crew_schedule(const struct crew *crew);
/* Starts the victims and waits until they are ready. False when a fork fails. */
bool crew_start(struct crew *crew);
/* Starts the openers and the rest. */
bool crew_go(struct crew *crew);
/* Reaps. No role ends on its own: true is an error. */
bool crew_ended(const struct crew *crew);
void crew_kill(const struct crew *crew);

#endif
