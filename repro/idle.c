// SPDX-License-Identifier: GPL-2.0-or-later
/* idle.c - /proc/timer_list: "cpu: 0", some lines on, "  .idle_calls     : 4711". */
#include "idle.h"

#include "sys.h"
#include "text.h"

enum { LIST_SIZE = 1 << 15 };

static const char *find_cpu(const char *list, u32 cpu)
{
	const char *at = list;

	while ((at = text_find(at, "\ncpu: "))) {
		at += 6;
		if (text_leading_number(at) == cpu)
			break;
	}
	return at;
}

u32 idle_calls(u32 cpu)
{
	static char list[LIST_SIZE];
	const char *at;

	if (sys_read_file("/proc/timer_list", list, sizeof(list)) < 0)
		return 0;
	at = find_cpu(list, cpu);
	at = at ? text_find(at, ".idle_calls") : NULL;
	at = at ? text_find(at, ": ") : NULL;
	return at ? text_leading_number(at + 2) : 0;
}
