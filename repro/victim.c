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
	struct board *board;
	struct aim *aim; /* instead of naps; or NULL */
	u32 naps, us;
	bool halted; /* the vCPU halted in the last one, and it was short */
};

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
	struct check check;

	check_begin(&check, owner, how->settings->files);
	check_load(&check);
	if (how->aim)
		aim_nap(how->aim, how->board, random);
	for (u32 left = how->naps; left--;)
		nap(how, random);
	return check_passes(&check, damage, finding);
}

bool victim_check(const struct settings *settings, const struct owner *owner,
		  const struct damage *damage, struct finding *finding)
{
	struct random random = random_seeded(settings->seed, VICTIM, owner->serial);
	struct nap how = { settings, NULL, NULL, settings->naps, 1, false };

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

void victim_run(const struct settings *settings, struct board *board, u32 id)
{
	const bool steady = id > settings->victims;
	const bool aims = settings_aim(settings) && !steady;
	const u32 naps = steady ? 1 : aims ? 0 : settings->naps;
	struct aim aim = aim_begun();
	struct random random = random_seeded(settings->seed, VICTIM, id);
	struct owner owner = { VICTIM, id, 0 };

	get_ready(board, &owner, settings->files);
	for (;;) {
		struct nap how = { settings, board, aims ? &aim : NULL, naps,
				   settings->victim_us, false };
		struct finding finding = { .complete = 0 };
		struct damage damage;
		bool passes;

		owner.serial++;
		damage = damage_for(&owner, settings->files, settings->inject);
		passes = hold(&how, &random, &owner, &damage, &finding);
		if (settings->witness && !steady)
			continue;
		if (steady)
			board_tally(&board->tally[STEADY], !passes);
		if (how.halted)
			board_tally(&board->tally[HALTED], !passes);
		board_check(board, VICTIM, passes ? NULL : &finding);
	}
}
