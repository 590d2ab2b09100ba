// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * counter - does a console lose, damage or double a byte at full speed?
 *
 * A program of its own, beside the stress program: PID 1 of a board that is checked. It prints
 * text that lab/console/counted.py knows to the last byte, as fast as the console takes it:
 *
 *     @mmx 0 start version=1 run=WORD lines=N #CRC
 *     LINE                            N times, 64 bytes each with its carriage return
 *     @mmx 1 text t=SECONDS lines=N #CRC
 *     @mmx 2 end t=SECONDS status=ok #CRC          unless mmx.then=reboot
 *
 * A line is its number in 8 hexadecimal digits, 54 characters that follow from the number, a
 * carriage return (the terminal adds it) and a newline. Words of the kernel's command line:
 *
 *     mmx.run=WORD       the controller's word for this boot
 *     mmx.lines=N        0 to 1000000
 *     mmx.then=reboot    reboots at the end; otherwise it powers off
 */
#include "asm.h"
#include "record.h"
#include "sys.h"
#include "text.h"

ASM_ENTRY;

enum {
	VERSION = 1,
	COMMAND_LINE = 8192,
	LINE = 63, /* without the carriage return */
	LINES_AT_ONCE = 16,
	LINES_MOST = 1000000,
	LINGER = 200000, /* us */
};

struct order {
	char run[65];
	u32 lines;
	bool reboot;
};

static void read_order(struct order *order)
{
	static char line[COMMAND_LINE];
	const char *run, *lines;
	u32 used = 0;

	sys_read_file("/proc/cmdline", line, sizeof(line));
	order->reboot = text_has_word(line, "mmx.then=reboot");
	run = text_find(line, "mmx.run=");
	for (run = run ? text_after(run, "mmx.run=") : ""; *run > ' ' && used < 64; run++)
		order->run[used++] = *run;
	order->run[used] = '\0';
	lines = text_find(line, "mmx.lines=");
	order->lines = lines ? text_leading_number(text_after(lines, "mmx.lines=")) : 0;
	if (order->lines > LINES_MOST)
		order->lines = LINES_MOST;
}

/* The same as make_line() of lab/console/counted.py. */
static void make_line(char line[LINE], u32 number)
{
	static const char digits[] =
		"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/";
	u32 state = (number + 1) * 2654435761U;

	for (u32 digit = 0; digit < 8; digit++)
		line[digit] = digits[number >> (28 - 4 * digit) & 15];
	for (u32 at = 8; at < LINE - 1; at++) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		line[at] = digits[state >> 16 & 63];
	}
	line[LINE - 1] = '\n';
}

static void write_all(const char *from, u32 bytes)
{
	while (bytes) {
		const int written = sys_write(1, from, bytes);

		if (written <= 0)
			return;
		from += written;
		bytes -= (u32)written;
	}
}

static void count(u32 lines)
{
	static char block[LINES_AT_ONCE * LINE];

	for (u32 number = 0; number < lines;) {
		u32 used = 0;

		for (; used < LINES_AT_ONCE && number < lines; used++)
			make_line(block + used * LINE, number++);
		write_all(block, used * LINE);
	}
	sys_drain_console();
}

static void put_start(const struct order *order)
{
	struct record record;

	record_begin(&record, "start");
	record_number(&record, "version", VERSION);
	record_word(&record, "run", order->run);
	record_number(&record, "lines", order->lines);
	record_write(&record);
}

static void put_text(const struct order *order, u64 took)
{
	struct record record;

	record_begin(&record, "text");
	record_time(&record, "t", took);
	record_number(&record, "lines", order->lines);
	record_write(&record);
	if (order->reboot)
		return;
	record_begin(&record, "end");
	record_time(&record, "t", took);
	record_word(&record, "status", "ok");
	record_write(&record);
}

NORETURN void start(long *stack);

void start(long *stack)
{
	struct order order;
	u64 begun;

	(void)stack;
	sys_open_console();
	sys_mount("proc", "/proc");
	record_on_console(true);
	read_order(&order);
	sys_quiet_kernel();
	put_start(&order);
	sys_drain_console();
	begun = sys_now();
	count(order.lines);
	put_text(&order, sys_now() - begun);
	sys_drain_console();
	sys_sleep(LINGER);
	if (order.reboot)
		sys_reboot();
	sys_power_off();
}
