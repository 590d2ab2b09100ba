/* check.c - the one detector that victims and openers share. */
#include "check.h"

#include "registers.h"
#include "sys.h"

enum { DAMAGE_EVERY = 4 };

struct damage damage_for(const struct owner *owner, bool inject)
{
	struct owner intruder = { INJECTED, owner->id, owner->serial };
	struct damage damage = { NOTHING, 0 };

	if (inject && owner->serial % DAMAGE_EVERY == 0) {
		damage.reg = owner->serial / DAMAGE_EVERY % 8;
		damage.value = pattern(&intruder, damage.reg);
	}
	return damage;
}

void check_load(const struct owner *owner)
{
	u64 want[8];

	patterns(owner, want);
	registers_load(want);
}

bool check_passes(const struct owner *owner, const struct damage *damage,
		  struct finding *finding)
{
	u64 got[8], want[8];
	u32 wrong = 0;

	if (damage->reg != NOTHING)
		registers_set(damage->reg, damage->value);
	registers_store(got);
	patterns(owner, want);
	for (u32 reg = 8; reg--;) {
		if (got[reg] == want[reg])
			continue;
		wrong++;
		finding->reg = reg;
		finding->want = want[reg];
		finding->got = got[reg];
	}
	finding->wrong = wrong;
	if (!wrong)
		return true;
	finding->when = sys_now();
	finding->pid = (u32)sys_getpid();
	finding->owner = *owner;
	return false;
}
