/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aim.h - victims that wake inside windows on purpose.
 *
 * With aim=1 an opener's child kicks a waiting victim right before its first FPU instruction;
 * the victim sleeps for as long as the child needs to come into the window. How long that is
 * the victim learns from the counts on the board, whatever the kernel does in the window:
 * this works for a fixed kernel as well as for a bad one.
 */
#ifndef AIM_H
#define AIM_H

#include "board.h"
#include "random.h"

struct aim {
	u32 us; /* the sleep, around which it varies */
};

struct aim aim_begun(void);
/* Two sleeps without FPU use: one until a kick, one from there into the window. */
void aim_nap(struct aim *aim, struct board *board, struct random *random);
void aim_kick(struct board *board);

#endif
