/* selftest.c - damage every register, by a foreign pattern and by the initial state. */
#include "selftest.h"

#include "roles.h"
#include "sys.h"

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

	if (damage->reg == NOTHING)
		return check(settings, owner, damage, &finding);
	return !check(settings, owner, damage, &finding) && finding.reg == damage->reg &&
	       finding.wrong == 1 && finding.got == damage->value &&
	       finding.want == pattern(owner, damage->reg);
}

NORETURN static void run(const struct settings *settings, struct board *board, enum role role)
{
	struct settings quick = *settings;
	struct owner owner = { role, 1, 0 };

	quick.naps = 2;
	quick.hold_us = 0;
	for (u32 reg = 0; reg <= NOTHING; reg++) {
		const struct owner intruder = { INJECTED, 1, reg };
		const struct damage foreign = { reg, pattern(&intruder, reg & 7) };
		const struct damage initial = { reg, 0 };

		owner.serial++;
		board->tested[role] += 2;
		board->caught[role] += catches(&quick, &owner, &foreign);
		board->caught[role] += catches(&quick, &owner, &initial);
	}
	sys_exit(0);
}

bool selftest(const struct settings *settings, struct board *board)
{
	bool all = true;

	for (u32 role = VICTIM; role <= OPENER; role++) {
		struct record record;
		int status;
		const int pid = sys_fork();

		if (pid == 0)
			run(settings, board, (enum role)role);
		if (pid > 0)
			sys_reap(pid, &status, true);
		record_begin(&record, "selftest");
		record_word(&record, "role", role_name((enum role)role));
		record_number(&record, "checks", board->tested[role]);
		record_number(&record, "caught", board->caught[role]);
		record_write(&record);
		all = all && board->tested[role] && board->tested[role] == board->caught[role];
	}
	return all;
}
