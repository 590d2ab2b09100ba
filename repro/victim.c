/* victim.c - hold a pattern across sleeps. */
#include "random.h"
#include "roles.h"
#include "sys.h"

static bool hold(u32 naps, u32 nap_us, struct random *random, const struct owner *owner,
		 const struct damage *damage, struct finding *finding)
{
	check_load(owner);
	while (naps--)
		sys_sleep(random_around(random, nap_us));
	return check_passes(owner, damage, finding);
}

bool victim_check(const struct settings *settings, const struct owner *owner,
		  const struct damage *damage, struct finding *finding)
{
	struct random random = random_seeded(settings->seed, VICTIM, owner->serial);

	return hold(settings->naps, 1, &random, owner, damage, finding);
}

void victim_run(const struct settings *settings, struct board *board, u32 id)
{
	struct random random = random_seeded(settings->seed, VICTIM, id);
	struct owner owner = { VICTIM, id, 0 };
	const bool steady = id > settings->victims;
	const u32 naps = steady ? 1 : settings->naps;

	for (;;) {
		struct finding finding = { .complete = 0 };
		struct damage damage;
		bool passes;

		owner.serial++;
		damage = damage_for(&owner, settings->inject);
		passes = hold(naps, settings->victim_us, &random, &owner, &damage, &finding);
		if (steady || !settings->witness)
			board_check(board, VICTIM, passes ? NULL : &finding);
	}
}
