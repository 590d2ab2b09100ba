/* SPDX-License-Identifier: GPL-2.0-or-later */
/* random.h - a small generator in integer registers (Marsaglia's xorshift32). */
#ifndef RANDOM_H
#define RANDOM_H

#include "types.h"

struct random {
	u32 state;
};

struct random random_seeded(u32 seed, u32 role, u32 id);
u32 random_next(struct random *random);
/* Half to one and a half of `mean`. */
u32 random_around(struct random *random, u32 mean);

#endif
