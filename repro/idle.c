/* idle.c - /proc/timer_list: "cpu: 0", some lines on, "  .idle_calls     : 4711". */
#include "idle.h"

#include "sys.h"
#include "text.h"

enum { LIST_SIZE = 1 << 15 };

static const char *find_cpu(const char *list, u32 cpu)
{
	const char *at = list;

	while ((at = text_find(at, "\ncpu: "))) {
		u32 number = 0;

		for (at += 6; *at >= '0' && *at <= '9'; at++)
			number = number * 10 + (u32)(*at - '0');
		if (number == cpu)
			break;
	}
	return at;
}

u32 idle_calls(u32 cpu)
{
	static char list[LIST_SIZE];
	const char *at;
	u32 calls = 0;

	if (sys_read_file("/proc/timer_list", list, sizeof(list)) < 0)
		return 0;
	at = find_cpu(list, cpu);
	at = at ? text_find(at, ".idle_calls") : NULL;
	at = at ? text_find(at, ": ") : NULL;
	for (at = at ? at + 2 : list + text_length(list); *at >= '0' && *at <= '9'; at++)
		calls = calls * 10 + (u32)(*at - '0');
	return calls;
}
