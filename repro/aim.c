// SPDX-License-Identifier: GPL-2.0-or-later
/* aim.c - kicks by futex, a wait by the processor's clock, and a staircase that finds the time. */
#include "aim.h"

#include "asm.h"
#include "board.h"
#include "sys.h"

enum {
	FIRST = 100,      /* us that a target sleeps */
	LONGEST = 20000,
	UNKICKED = 20000, /* us; then the victim checks all the same */
	CLOSED = 20000,   /* us that a victim waits for the end of a window */
	TICK = 6,         /* bits: 64 cycles are a tick, so that 32 bits hold over a minute */
	FINEST = 8,       /* steps are at least this part of a window */
};

static u32 ticks(void)
{
	return (u32)(asm_tsc() >> TICK);
}

static bool reached(u32 now, u32 when)
{
	return (s32)(now - when) >= 0;
}

/* Openers share victims evenly: those whose number has the same remainder, in turns. */
static u32 choose(u32 opener, u32 serial, u32 openers, u32 victims)
{
	const u32 first = (opener - 1) % victims;
	const u32 mine = openers < victims ? (victims - first - 1) / openers + 1 : 1;

	return first + serial % mine * openers;
}

static u32 finest(const struct lane *lane)
{
	return lane->width / FINEST + 1;
}

/* The delay of this shot: a little around what is known. */
static u32 around(struct lane *lane)
{
	const u32 fine = finest(lane);

	return lane->delay - fine + random_next(&lane->random) % (2 * fine + 1);
}

/* The first time that a target slept for so long says about how long that takes. */
static void begin(struct lane *lane, const struct target *target)
{
	const u32 took = target->woke - target->slept;

	if (lane->delay || target->sleep_us != lane->sleep_us || target->awake != target->armed)
		return;
	lane->delay = took > 2 * lane->width ? took - lane->width : took / 2 + 1;
	lane->step = took / 16 + 1;
	lane->last = 0;
}

struct shot aim_take(struct board *board, u32 opener, u32 serial,
		     const struct settings *settings)
{
	struct lane *lane = &board->lane[opener - 1];
	struct shot shot = { .lane = lane, .board = board };
	struct target *target;
	u32 due;

	if (!settings->victims)
		return shot;
	target = &board->target[choose(opener, serial, settings->openers, settings->victims)];
	shot.target = target;
	if (!lane->sleep_us) {
		lane->sleep_us = FIRST;
		lane->random = random_seeded(board_read(&board->kicks), 0, opener);
	}
	begin(lane, target);
	target->lane = opener - 1;
	target->sleep_us = lane->sleep_us;
	shot.kick = board_read(&target->kicks) + 1;
	board_count(&board->kicks);
	board_count(&target->kicks);
	sys_wake(&target->kicks);
	if (board_read(&target->armed) == shot.kick && lane->delay) {
		due = target->slept + around(lane);
		while (!reached(ticks(), due) && board_read(&target->awake) != shot.kick)
			shot.waited = true;
	}
	shot.fired = ticks();
	return shot;
}

/* 1: the FPU instruction came too early, the delay has to grow. */
static void change(struct lane *lane, s32 way)
{
	const u32 fine = finest(lane);

	if (way == lane->last)
		lane->step += lane->step / 2 + 1;
	else if (lane->last)
		lane->step /= 2;
	lane->last = way;
	if (lane->step < fine)
		lane->step = fine;
	if (lane->step > lane->delay / 8 + 1)
		lane->step = lane->delay / 8 + 1;
	lane->delay = (u32)((s32)lane->delay + way * (s32)lane->step);
}

/* The target woke before the child came to wait: it must sleep longer, and all is new. */
static void sleep_longer(struct lane *lane)
{
	if (lane->sleep_us < LONGEST)
		lane->sleep_us += lane->sleep_us / 2;
	lane->delay = 0;
}

void aim_learn(struct shot *shot)
{
	struct lane *lane = shot->lane;
	struct target *target = shot->target;
	const u32 now = ticks();
	bool armed;

	if (!target)
		return;
	armed = board_read(&target->armed) == shot->kick;
	if (armed && board_read(&target->awake) != shot->kick) {
		board_count(&shot->board->early);
		lane->width = now - shot->fired;
		if (lane->delay)
			change(lane, 1);
	} else if (armed && !target->inside) {
		board_count(&shot->board->late);
		if (!shot->waited)
			sleep_longer(lane);
		else
			change(lane, -1);
	}
	board_count(&target->over);
	sys_wake(&target->over);
}

void aim_nap(struct board *board, u32 victim)
{
	struct target *target = &board->target[victim - 1];
	const u32 before = board_read(&target->awake);
	const struct lane *lane;
	u32 kick;

	target->inside = false;
	if (board_read(&target->kicks) == before)
		sys_wait(&target->kicks, before, UNKICKED);
	kick = board_read(&target->kicks);
	if (kick == before)
		return;
	lane = &board->lane[target->lane];
	target->slept = ticks();
	__atomic_store_n(&target->armed, kick, __ATOMIC_SEQ_CST);
	sys_sleep(target->sleep_us);
	target->woke = ticks();
	target->inside = board_read(&lane->begun) != board_read(&lane->done);
	__atomic_store_n(&target->awake, kick, __ATOMIC_SEQ_CST);
}

void aim_leave(struct board *board, u32 victim)
{
	struct target *target = &board->target[victim - 1];
	const struct lane *lane = &board->lane[target->lane];
	const u32 over = board_read(&target->over);

	if (target->inside && board_read(&lane->begun) != board_read(&lane->done))
		sys_wait(&target->over, over, CLOSED);
}
