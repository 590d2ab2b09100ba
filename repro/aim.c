// SPDX-License-Identifier: GPL-2.0-or-later
/* aim.c - kicks by futex; the sleep grows when it ends too early, shrinks when too late. */
#include "aim.h"

#include "sys.h"

enum {
	FIRST = 50,       /* us */
	LONGEST = 2000,
	UNKICKED = 20000, /* us; then the victim checks all the same */
};

struct aim aim_begun(void)
{
	return (struct aim){ FIRST };
}

void aim_kick(struct board *board)
{
	board_count(&board->kicks);
	sys_wake(&board->kicks);
}

static void learn(struct aim *aim, u32 begun, u32 done)
{
	const u32 step = aim->us / 32 + 1;

	if (!begun && aim->us < LONGEST)
		aim->us += step;
	else if (begun && done >= begun && aim->us > step)
		aim->us -= step;
}

void aim_nap(struct aim *aim, struct board *board, struct random *random)
{
	const u32 kicks = board_read(&board->kicks);
	u32 attempts, windows;

	sys_wait(&board->kicks, kicks, UNKICKED);
	attempts = board_read(&board->attempts);
	windows = board_read(&board->windows);
	sys_sleep(aim->us - aim->us / 16 + random_next(random) % (aim->us / 8 + 1));
	attempts = board_read(&board->attempts) - attempts;
	windows = board_read(&board->windows) - windows;
	if (attempts > windows)
		board_count(&board->aimed);
	learn(aim, attempts, windows);
}
