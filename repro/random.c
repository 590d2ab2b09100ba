// SPDX-License-Identifier: GPL-2.0-or-later
/* random.c - xorshift32. */
#include "random.h"

struct random random_seeded(u32 seed, u32 role, u32 id)
{
	struct random random = { seed * 2654435761U ^ (role + 1) * 40503U ^ (id + 1) * 2246822519U };

	if (!random.state)
		random.state = 1; /* the one state that xorshift never leaves */
	for (u32 i = 0; i < 8; i++)
		random_next(&random);
	return random;
}

u32 random_next(struct random *random)
{
	u32 x = random->state;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return random->state = x;
}

u32 random_around(struct random *random, u32 mean)
{
	return mean ? mean / 2 + random_next(random) % mean : 0;
}
