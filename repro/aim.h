/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aim.h - first FPU instructions executed right before a victim's timer expires.
 *
 * With aim=1 an opener's child wakes a victim, its target. The target goes to sleep for a time
 * that the child knows, too. The child watches the processor's clock until that time is nearly
 * over and then executes its first FPU instruction. So the timer's interrupt is pending when
 * the kernel's handler of #NM enables interrupts, and the target runs inside the window.
 * How long to wait each opener learns from what came out: the target woke before the window,
 * in it, or after it. That is the same on a fixed kernel as on a bad one.
 */
#ifndef AIM_H
#define AIM_H

#include "settings.h"
#include "types.h"

struct board;

enum { EXPIRIES = 5 };

/* An opener's windows, of which at most one is open at a time, and its aim. */
struct lane {
	u32 begun, done;  /* first FPU instructions about to be executed, and completed */
	u32 uses;         /* loads and checks of its children */
	u32 last_tried;   /* the number of the last window that counts as tried */
	u32 sleep_us;     /* how long a target sleeps; 0: nothing is known yet */
	u32 delay;        /* from its falling asleep to the FPU instruction, in ticks; 0: unknown */
	u32 width;        /* of a window in which nobody woke, in ticks */
	u32 early, late;  /* shots of one kind in a row */
	u32 missed, idle; /* those in which the child came back too late, or far too soon */
	u32 seen;         /* times of expiry, while the delay is unknown, and the last of them */
	u32 expired[EXPIRIES];
};

/* Whether a window of it is open right now. */
bool lane_open(const struct lane *lane);

/* A victim as a target. `kicks` and `over` are what it waits for. */
struct target {
	u32 kicks;     /* by children on their way to a window */
	u32 over;      /* windows of children that had kicked it */
	u32 lane;      /* of the last that kicked it */
	u32 sleep_us;  /* ... and how long it shall sleep */
	u32 armed;     /* the kick for which it fell asleep, */
	u32 slept;     /* ... and when */
	u32 awake;     /* the kick after which it woke, */
	u32 inside;    /* ... and whether inside the window */
};

/* A child's use of its aim, from the kick to what came out. */
struct shot {
	struct lane *lane;
	struct target *target; /* NULL: no aim */
	u32 kick;
	u32 back;    /* ticks from the target's falling asleep until the child ran again */
	u32 fired;   /* ticks */
	u32 expired; /* when the target's timer did, as this child saw it; 0: it has not seen it */
	bool missed; /* the target was awake before this child looked */
};

/* Wakes the target and returns when the first FPU instruction is due. */
struct shot aim_take(struct board *board, u32 opener, u32 serial,
		     const struct settings *settings);
/* After the window: frees the target, and learns. */
void aim_learn(struct shot *shot);

/* A victim's sleeps between load and check: until a kick, and from there into the window. */
void aim_nap(struct board *board, u32 victim);
/* After its check: until the window is over in which it woke, so that it loads outside. */
void aim_leave(struct board *board, u32 victim);

#endif
