// SPDX-License-Identifier: GPL-2.0-or-later
/* victim.c - hold a pattern across sleeps. */
#include "aim.h"
#include "idle.h"
#include "random.h"
#include "roles.h"
#include "sys.h"

/*
 * With halt=1 the openers run for 10 ms and are held back for 10 ms. A nap shorter than this
 * cannot contain a whole run of theirs: none of them ran between the halt and the nap's end.
 */
enum { SHORT_NAP = 5000 };

struct nap {
	const struct settings *settings;
	struct board *board; /* NULL: nobody has windows */
	u32 aims;            /* the victim's number where it aims, instead of naps; or 0 */
	struct lane *lane;   /* of the opener whose windows it wakes in; NULL: of several */
	u32 naps, us;
	bool halted;         /* the vCPU halted in the last one, and it was short */
	u32 window;          /* in which it woke last, and a changed register would show; or 0 */
};

/* The open window, if another task has used the registers since the load; or 0. */
static u32 window_of(const struct lane *lane, u32 uses)
{
	return lane_open(lane) && board_read(&lane->uses) != uses ? board_read(&lane->begun) : 0;
}

static void nap(struct nap *nap, struct random *random)
{
	const bool watched = nap->settings->halt;
	const u32 halts = watched ? idle_calls(nap->settings->victim_cpu) : 0;
	const u64 began = watched ? sys_now() : 0;

	sys_sleep(random_around(random, nap->us));
	if (watched)
		nap->halted = sys_now() - began < SHORT_NAP &&
			      idle_calls(nap->settings->victim_cpu) != halts;
}

static bool hold(struct nap *how, struct random *random, const struct owner *owner,
		 const struct damage *damage, struct finding *finding)
{
	struct lane *lane = how->lane;
	/* What is loaded inside a window is lost with it, and says nothing about the next. */
	const bool outside = lane && !lane_open(lane);
	const u32 uses = lane ? board_read(&lane->uses) : 0;
	struct check check;

	check_begin(&check, owner, how->settings->files);
	check_load(&check);
	if (how->aims)
		aim_nap(how->board, how->aims);
	for (u32 left = how->naps; left--;)
		nap(how, random);
	how->window = outside ? window_of(lane, uses) : 0;
	return check_passes(&check, damage, finding);
}

bool victim_check(const struct settings *settings, const struct owner *owner,
		  const struct damage *damage, struct finding *finding)
{
	struct random random = random_seeded(settings->seed, VICTIM, owner->serial);
	struct nap how = { .settings = settings, .naps = settings->naps, .us = 1 };

	return hold(&how, &random, owner, damage, finding);
}

/*
 * A victim's own first FPU use is a window like any other. It happens before the run begins,
 * when no process holds a pattern that it could spoil; in the run only openers have windows.
 */
static void get_ready(struct board *board, const struct owner *owner, u32 files)
{
	struct check check;

	check_begin(&check, owner, files);
	check_load(&check);
	board_count(&board->ready);
	while (!board_read(&board->go))
		sys_sleep(1000);
}

/* The one opener whose children this victim meets, where there is just one. */
static struct lane *lane_of(const struct settings *settings, struct board *board, u32 id)
{
	if (!settings->openers || settings->openers > settings->victims)
		return NULL;
	return &board->lane[(id - 1) % settings->openers];
}

void victim_run(const struct settings *settings, struct board *board, u32 id)
{
	const bool steady = id > settings->victims;
	const bool aims = settings_aim(settings) && !steady;
	struct nap how = {
		.settings = settings,
		.board = board,
		.aims = aims ? id : 0,
		.lane = lane_of(settings, board, id),
		.naps = steady ? 1 : aims ? 0 : settings->naps,
		.us = settings->victim_us,
	};
	struct random random = random_seeded(settings->seed, VICTIM, id);
	struct owner owner = { VICTIM, id, 0 };

	get_ready(board, &owner, settings->files);
	for (;;) {
		struct finding finding = { .complete = 0 };
		struct damage damage;
		bool passes;

		owner.serial++;
		how.halted = false;
		damage = damage_for(&owner, settings->files, settings->inject);
		passes = hold(&how, &random, &owner, &damage, &finding);
		if (!settings->witness || steady) {
			if (steady)
				board_tally(&board->tally[STEADY], !passes);
			if (how.halted)
				board_tally(&board->tally[HALTED], !passes);
			board_check(board, VICTIM, passes ? NULL : &finding);
			if (how.window)
				board_try(board, how.lane, how.window, !passes);
		}
		if (aims)
			aim_leave(board, id);
	}
}
