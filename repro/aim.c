// SPDX-License-Identifier: GPL-2.0-or-later
/* aim.c - kicks by futex, a wait by the processor's clock, and a staircase that finds the time. */
#include "aim.h"

#include "asm.h"
#include "board.h"
#include "sys.h"

enum {
	FIRST = 400,      /* us that a target sleeps */
	SHORTEST = 50,
	LONGEST = 20000,
	AMPLE = 6,        /* times the child's way back: the sleep is longer than it need be */
	IDLE_MOST = 16,   /* such shots, less those that were not */
	MISSED_MOST = 4,  /* shots in which the child came back too late: each weighs two */
	FIRST_FEW = 3,    /* times of expiry that a delay is made of */
	UNKICKED = 20000, /* us; then the victim checks all the same */
	CLOSED = 20000,   /* us that a victim waits for the end of a window */
	TICK = 6,         /* bits: 64 cycles are a tick, so that 32 bits hold over a minute */
	FINEST = 16,      /* a step is this part of a window */
	FEW = 3,          /* early shots in a row; then larger steps */
	EARLY_MOST = 12,  /* in a row; then the delay is found anew */
	HOPELESS = 1 << 25, /* ticks, a second and more: the target does not wake */
	BACK = 3,         /* steps back after a shot that came too late */
};

static u32 ticks(void)
{
	return (u32)(asm_tsc() >> TICK);
}

static bool reached(u32 now, u32 when)
{
	return (s32)(now - when) >= 0;
}

bool lane_open(const struct lane *lane)
{
	return board_read(&lane->begun) != board_read(&lane->done);
}

/* Openers share victims evenly: those whose number has the same remainder, in turns. */
static u32 choose(u32 opener, u32 serial, u32 openers, u32 victims)
{
	const u32 first = (opener - 1) % victims;
	const u32 mine = openers < victims ? (victims - first - 1) / openers + 1 : 1;

	return first + serial % mine * openers;
}

/* Until it is due, or the target wakes. That moment is the last that was read before. */
static void wait(struct shot *shot)
{
	const u32 slept = shot->target->slept;
	const u32 delay = shot->lane->delay;
	u32 now = ticks();

	shot->back = now - slept;
	if (board_read(&shot->target->awake) == shot->kick) {
		shot->missed = true;
		return;
	}
	while (!reached(now, slept + (delay ? delay : HOPELESS))) {
		const u32 before = now;

		now = ticks();
		if (board_read(&shot->target->awake) == shot->kick) {
			shot->expired = before - slept;
			return;
		}
	}
}

struct shot aim_take(struct board *board, u32 opener, u32 serial,
		     const struct settings *settings)
{
	struct lane *lane = &board->lane[opener - 1];
	struct shot shot = { .lane = lane };
	struct target *target;

	if (!settings->victims)
		return shot;
	target = &board->target[choose(opener, serial, settings->openers, settings->victims)];
	shot.target = target;
	if (!lane->sleep_us)
		lane->sleep_us = FIRST;
	target->lane = opener - 1;
	target->sleep_us = lane->sleep_us;
	shot.kick = board_read(&target->kicks) + 1;
	board_count(&target->kicks);
	sys_wake(&target->kicks);
	if (board_read(&target->armed) == shot.kick)
		wait(&shot);
	shot.fired = ticks();
	return shot;
}

/* A window that was interrupted looks wide; so it may grow by a quarter at a time only. */
static u32 smoothed(u32 width, u32 seen)
{
	return !width || seen < width + width / 4 + 1 ? seen : width + width / 4 + 1;
}

static u32 fine(const struct lane *lane)
{
	return lane->width / FINEST + 1;
}

/* The middle one of three: a late reader of the clock, or a late timer, must not count. */
static u32 middle(const u32 of[EXPIRIES])
{
	const u32 low = of[0] < of[1] ? of[0] : of[1];
	const u32 high = of[0] < of[1] ? of[1] : of[0];

	return of[2] < low ? low : of[2] > high ? high : of[2];
}

static void step_back(struct lane *lane, u32 by)
{
	lane->delay = lane->delay > 2 * by ? lane->delay - by : lane->delay / 2 + 1;
}

/*
 * A child that did not run when the timer expired, because its processor did something else, has
 * seen it too early. So of several the latest is the best.
 */
static u32 latest(const u32 of[EXPIRIES])
{
	u32 when = of[0];

	for (u32 i = 1; i < EXPIRIES; i++)
		when = of[i] > when ? of[i] : when;
	return when;
}

/* The target's timer expired before the FPU instruction. */
static void came_late(struct lane *lane, u32 expired)
{
	lane->early = 0;
	lane->late++;
	lane->expired[lane->seen++ % EXPIRIES] = expired;
	if (!lane->delay && lane->seen < FIRST_FEW)
		return;
	if (!lane->delay)
		lane->delay = middle(lane->expired);
	else if (lane->late >= EXPIRIES && lane->delay > latest(lane->expired))
		lane->delay = latest(lane->expired);
	step_back(lane, BACK * fine(lane));
}

/*
 * It did not. So the next one comes later, until one comes too late: the sooner the timer
 * expires after the FPU instruction, the likelier it is that the handler has not yet looked.
 */
static void came_early(struct lane *lane, bool inside)
{
	const u32 when = latest(lane->expired);
	const u32 near = when > BACK * fine(lane) ? when - BACK * fine(lane) : 0;

	lane->late = 0;
	lane->early = inside ? 0 : lane->early + 1;
	if (lane->early == FEW && lane->delay + fine(lane) < near)
		lane->delay = near;
	else
		lane->delay += fine(lane) << (lane->early > FEW ? lane->early - FEW : 0);
	if (lane->early > EARLY_MOST)
		lane->early = lane->delay = lane->seen = 0;
}

static void sleep_for(struct lane *lane, u32 us)
{
	lane->sleep_us = us;
	lane->delay = lane->seen = lane->missed = lane->idle = lane->late = 0;
	for (u32 i = 0; i < EXPIRIES; i++)
		lane->expired[i] = 0;
}

/* The child must be back while the target sleeps, but does not have to wait long. */
static void adapt_sleep(struct lane *lane, const struct shot *shot)
{
	if (shot->missed)
		lane->missed += 2;
	else if (lane->missed)
		lane->missed--;
	if (!shot->missed && shot->back < lane->delay / AMPLE)
		lane->idle++;
	else if (lane->idle)
		lane->idle--;
	if (lane->missed >= MISSED_MOST && lane->sleep_us < LONGEST)
		sleep_for(lane, lane->sleep_us * 2);
	else if (lane->idle >= IDLE_MOST && lane->sleep_us > SHORTEST)
		sleep_for(lane, lane->sleep_us / 2);
}

void aim_learn(struct shot *shot)
{
	struct lane *lane = shot->lane;
	struct target *target = shot->target;
	const u32 now = ticks();
	bool armed, awake;

	if (!target)
		return;
	armed = board_read(&target->armed) == shot->kick;
	awake = board_read(&target->awake) == shot->kick;
	if (armed && (!awake || shot->expired))
		lane->width = smoothed(lane->width, now - shot->fired);
	if (armed && shot->expired)
		came_late(lane, shot->expired);
	else if (armed && lane->delay && !shot->missed)
		came_early(lane, awake && target->inside);
	if (armed)
		adapt_sleep(lane, shot);
	board_count(&target->over);
	sys_wake(&target->over);
}

void aim_nap(struct board *board, u32 victim)
{
	struct target *target = &board->target[victim - 1];
	const u32 before = board_read(&target->awake);
	u32 kick;

	target->inside = false;
	if (board_read(&target->kicks) == before)
		sys_wait(&target->kicks, before, UNKICKED);
	kick = board_read(&target->kicks);
	if (kick == before)
		return;
	target->slept = ticks();
	__atomic_store_n(&target->armed, kick, __ATOMIC_SEQ_CST);
	sys_sleep(target->sleep_us);
	target->inside = lane_open(&board->lane[target->lane]);
	__atomic_store_n(&target->awake, kick, __ATOMIC_SEQ_CST);
}

void aim_leave(struct board *board, u32 victim)
{
	struct target *target = &board->target[victim - 1];
	const u32 over = board_read(&target->over);

	if (target->inside && lane_open(&board->lane[target->lane]))
		sys_wait(&target->over, over, CLOSED);
}
