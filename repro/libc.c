// SPDX-License-Identifier: GPL-2.0-or-later
/* libc.c - the three functions that gcc calls on its own, even in freestanding code. */
#include "types.h"

void *memset(void *where, int value, unsigned long bytes);
void *memcpy(void *restrict to, const void *restrict from, unsigned long bytes);
void *memmove(void *to, const void *from, unsigned long bytes);

void *memset(void *where, int value, unsigned long bytes)
{
	u8 *at = where;

	while (bytes--)
		*at++ = (u8)value;
	return where;
}

void *memcpy(void *restrict to, const void *restrict from, unsigned long bytes)
{
	u8 *into = to;
	const u8 *at = from;

	while (bytes--)
		*into++ = *at++;
	return to;
}

void *memmove(void *to, const void *from, unsigned long bytes)
{
	u8 *into = to;
	const u8 *at = from;

	if (into <= at)
		return memcpy(to, from, bytes);
	while (bytes--)
		into[bytes] = at[bytes];
	return to;
}
