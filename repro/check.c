// SPDX-License-Identifier: GPL-2.0-or-later
/* check.c - the one detector that victims and openers share. */
#include "check.h"

#include "registers.h"
#include "sys.h"

/* Odd, so that all turns of MMX, x87 and SSE are damaged. */
enum { DAMAGE_EVERY = 3 };

static u32 nth_used(u32 n, u32 use)
{
	u32 used = 0;

	for (u32 place = 0; place < PLACES; place++)
		used += place_used(place, use);
	n %= used;
	for (u32 place = 0; place < PLACES; place++)
		if (place_used(place, use) && !n--)
			return place;
	return NOTHING;
}

struct damage damage_for(const struct owner *owner, u32 files, bool inject)
{
	const struct owner intruder = { INJECTED, owner->id, owner->serial };
	const u32 turn = owner->serial / DAMAGE_EVERY;
	struct damage damage = { NOTHING, 0 };

	if (!inject || owner->serial % DAMAGE_EVERY)
		return damage;
	/* Five shares no divisor with the numbers of places, which are 8, 16, 24 and 32. */
	damage.place = nth_used(turn / 2 * 5, patterns(owner, files).use);
	damage.value = pattern(&intruder, damage.place);
	if (damage.place >= EXPONENT && damage.place < XMM)
		damage.value = 0xffff; /* what an MMX instruction leaves there */
	return damage;
}

void check_begin(struct check *check, const struct owner *owner, u32 files)
{
	check->owner = *owner;
	check->want = patterns(owner, files);
}

void check_load(const struct check *check)
{
	registers_load(&check->want);
}

static void do_damage(const struct damage *damage, u32 use)
{
	struct registers now = { .use = use };

	registers_store(&now);
	now.value[damage->place] = damage->value;
	registers_load(&now);
}

bool check_passes(const struct check *check, const struct damage *damage,
		  struct finding *finding)
{
	const u32 use = check->want.use;
	struct registers got = { .use = use };

	if (damage->place != NOTHING)
		do_damage(damage, use);
	registers_store(&got);
	finding->wrong = finding->files = 0;
	for (u32 place = PLACES; place--;) {
		if (!place_used(place, use) || got.value[place] == check->want.value[place])
			continue;
		finding->wrong++;
		finding->files |= 1U << file_of(place, use);
		finding->place = place;
		finding->want = check->want.value[place];
		finding->got = got.value[place];
	}
	if (!finding->wrong)
		return true;
	finding->when = sys_now();
	finding->pid = (u32)sys_getpid();
	finding->use = use;
	finding->owner = check->owner;
	return false;
}
