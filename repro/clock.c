// SPDX-License-Identifier: GPL-2.0-or-later
/* clock.c - the system calls about time, in the layouts of both tables. */
#include "asm.h"
#include "sys.h"

enum {
	CLOCK_MONOTONIC = 1,
	FUTEX_WAIT = 0,
	ENOSYS = 38,
};

/* As 64-bit kernels have it, and the calls of the 32-bit table whose names end in 64. */
struct timespec {
	u64 seconds, nanoseconds;
};

static struct timespec span(u32 microseconds)
{
	return (struct timespec){ microseconds / 1000000, microseconds % 1000000 * 1000 };
}

static u64 microseconds_of(u64 seconds, u64 nanoseconds)
{
	return seconds * 1000000 + (u32)nanoseconds / 1000;
}

#ifdef __x86_64__
enum { NR_NANOSLEEP = 35, NR_FUTEX = 202, NR_CLOCK_GETTIME = 228 };

u64 sys_now(void)
{
	struct timespec now = { 0, 0 };

	asm_syscall(NR_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&now, 0, 0, 0);
	return microseconds_of(now.seconds, now.nanoseconds);
}

void sys_sleep(u32 microseconds)
{
	const struct timespec left = span(microseconds);

	asm_syscall(NR_NANOSLEEP, (long)&left, 0, 0, 0, 0);
}

void sys_wait(const u32 *word, u32 value, u32 microseconds)
{
	const struct timespec longest = span(microseconds);

	asm_syscall(NR_FUTEX, (long)word, FUTEX_WAIT, (long)value, (long)&longest, 0);
}
#else
enum {
	NR_NANOSLEEP = 162, NR_FUTEX = 240, NR_CLOCK_GETTIME = 265,
	NR_CLOCK_GETTIME64 = 403, NR_CLOCK_NANOSLEEP64 = 407, NR_FUTEX64 = 422,
};

struct narrow {
	u32 seconds, nanoseconds;
};

/*
 * Kernels before 5.1 have only the calls of 32-bit time; later ones may be built without them
 * (COMPAT_32BIT_TIME). The first call, before any fork, finds out which.
 */
static bool wide;

static struct narrow narrowed(struct timespec time)
{
	return (struct narrow){ (u32)time.seconds, (u32)time.nanoseconds };
}

u64 sys_now(void)
{
	struct timespec now = { 0, 0 };
	struct narrow old = { 0, 0 };

	if (!wide && asm_syscall(NR_CLOCK_GETTIME, CLOCK_MONOTONIC, (long)&old, 0, 0, 0) != -ENOSYS)
		return microseconds_of(old.seconds, old.nanoseconds);
	wide = true;
	asm_syscall(NR_CLOCK_GETTIME64, CLOCK_MONOTONIC, (long)&now, 0, 0, 0);
	return microseconds_of(now.seconds, now.nanoseconds);
}

void sys_sleep(u32 microseconds)
{
	const struct timespec left = span(microseconds);
	const struct narrow old = narrowed(left);

	if (wide)
		asm_syscall(NR_CLOCK_NANOSLEEP64, CLOCK_MONOTONIC, 0, (long)&left, 0, 0);
	else
		asm_syscall(NR_NANOSLEEP, (long)&old, 0, 0, 0, 0);
}

void sys_wait(const u32 *word, u32 value, u32 microseconds)
{
	const struct timespec longest = span(microseconds);
	const struct narrow old = narrowed(longest);

	if (wide)
		asm_syscall(NR_FUTEX64, (long)word, FUTEX_WAIT, (long)value, (long)&longest, 0);
	else
		asm_syscall(NR_FUTEX, (long)word, FUTEX_WAIT, (long)value, (long)&old, 0);
}
#endif
