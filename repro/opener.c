// SPDX-License-Identifier: GPL-2.0-or-later
/* opener.c - one window per child. */
#include "aim.h"
#include "pressure.h"
#include "random.h"
#include "roles.h"
#include "sys.h"

bool opener_check(const struct settings *settings, const struct owner *owner,
		  const struct damage *damage, struct board *board, struct finding *finding)
{
	const bool opens = !settings->parent_fpu;
	struct lane *lane = &board->lane[owner->id - 1];
	struct shot shot = { .target = NULL };
	struct check check;
	bool passes;

	check_begin(&check, owner, settings->files);
	if (settings_aim(settings))
		shot = aim_take(board, owner->id, owner->serial, settings);
	if (opens) {
		board_count(&board->attempts);
		board_count(&lane->begun);
	}
	check_load(&check); /* the first FPU instruction of this process: the window */
	board_count(opens ? &board->windows : &board->inherited);
	if (opens)
		board_count(&lane->done);
	board_count(&lane->uses);
	aim_learn(&shot);
	if (settings->pressure)
		pressure_next(board);
	if (settings->hold_us)
		sys_sleep(settings->hold_us);
	else
		sys_yield();
	passes = check_passes(&check, damage, finding);
	board_count(&lane->uses);
	return passes;
}

NORETURN static void child(const struct settings *settings, struct board *board,
			   const struct owner *owner)
{
	const struct damage damage = damage_for(owner, settings->files, settings->inject);
	struct finding finding = { .complete = 0 };
	bool passes;

	if (settings->pressure)
		pressure_turn(board);
	passes = opener_check(settings, owner, &damage, board, &finding);
	if (!settings->witness)
		board_check(board, OPENER, passes ? NULL : &finding);
	sys_exit(0);
}

static bool lives_and_ends(const struct settings *settings, struct board *board,
			   const struct owner *owner)
{
	int status = 0;
	const int pid = sys_fork();

	if (pid == 0)
		child(settings, board, owner);
	return pid > 0 && sys_reap(pid, &status, true) == pid && status == 0;
}

void opener_run(const struct settings *settings, struct board *board, u32 id)
{
	struct random random = random_seeded(settings->seed, OPENER, id);
	struct owner owner = { OPENER, id, 0 };
	struct lane *lane = &board->lane[id - 1];

	for (;;) {
		owner.serial++;
		lane->done = lane->begun; /* whatever became of the last child */
		if (!lives_and_ends(settings, board, &owner)) {
			board_count(&board->lost);
			sys_sleep(1000); /* no memory for a child: do not spin */
		}
		if (settings->opener_us)
			sys_sleep(random_around(&random, settings->opener_us));
	}
}
