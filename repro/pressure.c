// SPDX-License-Identifier: GPL-2.0-or-later
/* pressure.c - raise the watermark, let the kernel kill the fuse, put it back; again. */
#include "pressure.h"

#include "record.h"
#include "sys.h"
#include "text.h"

enum {
	MIB = 1 << 20,
	PAGE = 4096,
	POLL = 1000,        /* us */
	FUSE = 30000000,    /* us to wait for the fuse: a slow machine may need seconds for it */
	GATHER = 2000000,   /* us to wait for the openers' children, once there is a fuse */
	SHORTAGE = 3000000, /* us that one lasts at most */
	PRIORITY = 91,      /* SCHED_FIFO: above the victims, below the supervisor */
	FUSE_PRIORITY = 97, /* above all: until it has ended, in older kernels allocations spin */
};

static const char watermark[] = "/proc/sys/vm/min_free_kbytes";

/* The number behind `name` in a file, KiB; 0 when the kernel does not say. */
static u32 kib_after(const char *path, const char *name)
{
	char text[1024];
	const char *at;

	if (sys_read_file(path, text, sizeof(text)) < 0)
		return 0;
	at = text_find(text, name);
	for (at = at ? at + text_length(name) : ""; *at == ' '; at++)
		;
	return text_leading_number(at);
}

static void set_watermark(u32 kib)
{
	struct record text = { .used = 0 };

	record_digits(&text, kib);
	text.text[text.used] = '\0';
	sys_write_file(watermark, text.text);
}

/* How likely the kernel is to kill the caller for memory; oom_adj before 2.6.36. */
static void expendable(const char *score, const char *score_then)
{
	if (!sys_write_file("/proc/self/oom_score_adj", score))
		sys_write_file("/proc/self/oom_adj", score_then);
}

NORETURN static void fuse(const struct settings *settings, struct board *board)
{
	const u32 bytes = settings->pressure * MIB;
	u8 *block;

	/* At its parent's priority: victims would let it touch its pages too slowly. */
	sys_die_with_parent();
	expendable("1000", "15");
	block = sys_map(bytes, false);
	for (u32 at = 0; block && at < bytes; at += PAGE)
		*(volatile u8 *)(block + at) = 1;
	board_count(&board->fuses);
	sys_schedule(FUSE_PRIORITY);
	for (;;)
		sys_sleep(SHORTAGE);
}

/* Children that have reached pressure_turn() and not yet begun their first FPU use. */
static u32 waiting(const struct board *board)
{
	return board_read(&board->gathered) - board_read(&board->attempts);
}

/* Waits for the fuse, then for every opener's child; takes those that came. False: no fuse. */
static bool gather(const struct settings *settings, const struct board *board, u32 fuses,
		   int child)
{
	u64 until = sys_now() + FUSE;
	int status;

	while (sys_now() < until && board_read(&board->fuses) == fuses) {
		if (sys_reap(child, &status, false) == child)
			return false; /* killed before it was one */
		sys_sleep(POLL);
	}
	until = sys_now() + GATHER;
	while (sys_now() < until && waiting(board) < settings->openers)
		sys_sleep(POLL);
	return board_read(&board->fuses) != fuses;
}

/* Waits until the kernel has killed the fuse, or all children have had their turns. */
static bool blows(int child, const struct board *board)
{
	const u64 until = sys_now() + SHORTAGE;
	int status;

	while (sys_now() < until) {
		if (sys_reap(child, &status, false) == child)
			return true;
		if (!waiting(board))
			return false;
		sys_sleep(POLL);
	}
	return false;
}

static void shortage(const struct settings *settings, struct board *board, int child, u32 usual)
{
	set_watermark(kib_after("/proc/meminfo", "MemFree:") + settings->pressure * 512);
	board_count(&board->shortages);
	sys_wake(&board->shortages);
	if (blows(child, board))
		board_count(&board->pressed);
	set_watermark(usual);
}

static void round(const struct settings *settings, struct board *board, u32 usual)
{
	const u32 fuses = board_read(&board->fuses);
	const int child = sys_fork();
	int status;

	if (child == 0)
		fuse(settings, board);
	if (child < 0) {
		sys_sleep(SHORTAGE); /* memory is short already */
		return;
	}
	/* Without a fuse the kernel would kill the tasks that want memory. */
	if (gather(settings, board, fuses, child))
		shortage(settings, board, child, usual);
	sys_kill(child, 9);
	sys_reap(child, &status, true);
}

void pressure_run(const struct settings *settings, struct board *board)
{
	const u32 usual = kib_after(watermark, "");

	/* The zone of the first 16 MiB must not help out, and the kernel's reports are short. */
	sys_write_file("/proc/sys/vm/lowmem_reserve_ratio", "1");
	sys_write_file("/proc/sys/vm/oom_dump_tasks", "0");
	sys_write_file("/proc/sys/kernel/printk", "4");
	sys_schedule(PRIORITY);
	for (;;)
		round(settings, board, usual);
}

void pressure_turn(struct board *board)
{
	const u32 before = board_read(&board->shortages);

	expendable("500", "10"); /* after the fuse, but before openers and victims */
	board_count(&board->gathered);
	while (board_read(&board->shortages) == before)
		sys_wait(&board->shortages, before, SHORTAGE);
}

void pressure_next(struct board *board)
{
	sys_wake(&board->shortages);
}
