// SPDX-License-Identifier: GPL-2.0-or-later
/* selftest.c - damage every register, by a foreign pattern and by the initial state. */
#include "selftest.h"

#include "roles.h"
#include "sys.h"

/* Of the turns that a load takes: MMX or x87, the stack or SSE first. */
enum { TURNS = 4 };

static struct board scratch; /* what a tested opener counts is not the run's */

static bool check(const struct settings *settings, const struct owner *owner,
		  const struct damage *damage, struct finding *finding)
{
	if (owner->role == VICTIM)
		return victim_check(settings, owner, damage, finding);
	return opener_check(settings, owner, damage, &scratch, finding);
}

static bool catches(const struct settings *settings, const struct owner *owner,
		    const struct damage *damage)
{
	struct finding finding = { .complete = 0 };

	if (damage->place == NOTHING)
		return check(settings, owner, damage, &finding);
	return !check(settings, owner, damage, &finding) && finding.place == damage->place &&
	       finding.wrong == 1 && finding.got == damage->value &&
	       finding.want == pattern(owner, damage->place);
}

/* Both damages to one place, or with NOTHING two checks that must pass. */
static void test_place(const struct settings *settings, struct tally *tally,
		       const struct owner *owner, u32 place)
{
	const bool exponent = place >= EXPONENT && place < XMM;
	const struct owner intruder = { INJECTED, 1, place };
	const struct damage foreign = {
		place, exponent ? 0xffff : place == NOTHING ? 0 : pattern(&intruder, place)
	};
	const struct damage initial = { place, 0 };

	tally->checks += 2;
	tally->corruptions += catches(settings, owner, &foreign);
	tally->corruptions += catches(settings, owner, &initial);
}

NORETURN static void run(const struct settings *settings, struct board *board, enum role role)
{
	struct settings quick = *settings;

	quick.naps = 1;
	quick.hold_us = 0;
	quick.aim = 0; /* nobody is there to aim at */
	for (u32 turn = 1; turn <= TURNS; turn++) {
		const struct owner owner = { role, 1, turn };
		const u32 use = patterns(&owner, settings->files).use;

		for (u32 place = 0; place <= NOTHING; place++) {
			const enum file file = file_of(place, use);

			if (place == NOTHING || place_used(place, use))
				test_place(&quick, &board->tested[role][file], &owner, place);
		}
	}
	sys_exit(0);
}

static bool tell(const struct board *board, u32 files, enum role role)
{
	const struct tally *tested = board->tested[role];
	struct tally all = { 0, 0 };
	struct record record;
	bool each = true;

	for (u32 file = 0; file < FILES; file++) {
		all.checks += tested[file].checks;
		all.corruptions += tested[file].corruptions;
		if (files >> file & 1)
			each = each && tested[file].checks &&
			       tested[file].checks == tested[file].corruptions;
	}
	record_begin(&record, "selftest");
	record_word(&record, "role", role_name(role));
	record_number(&record, "checks", all.checks);
	record_number(&record, "caught", all.corruptions);
	for (u32 file = 0; file < FILES; file++)
		board_tally_record(&record, file_name((enum file)file), &tested[file]);
	record_write(&record);
	return each && all.checks == all.corruptions;
}

bool selftest(const struct settings *settings, struct board *board)
{
	bool all = true;

	for (u32 role = VICTIM; role <= OPENER; role++) {
		int status;
		const int pid = sys_fork();

		if (pid == 0)
			run(settings, board, (enum role)role);
		if (pid > 0)
			sys_reap(pid, &status, true);
		all = tell(board, settings->files, (enum role)role) && all;
	}
	return all;
}
