/* priority.c - the supervisor above its victims, real-time tasks unthrottled, and a word of it. */
#include "priority.h"

#include "record.h"
#include "sys.h"
#include "text.h"

enum { SUPERVISOR_PRIO = 95 }; /* above every victim: they must not delay the end */

/* As an ordinary user real-time priority is refused: the run goes on, and says so. */
void priority_raise(const struct settings *settings)
{
	struct record record;
	bool fifo = settings->prio && sys_schedule(SUPERVISOR_PRIO);
	const char *throttling = "kept";
	char limit[24];

	if (sys_getpid() == 1 &&
	    sys_write_file("/proc/sys/kernel/sched_rt_runtime_us", "-1\n"))
		throttling = "off";
	else if (sys_read_file("/proc/sys/kernel/sched_rt_runtime_us", limit,
			       sizeof(limit)) < 0)
		throttling = "unknown";
	else if (text_after(limit, "-1"))
		throttling = "off";
	record_begin(&record, "sched");
	record_word(&record, "fifo",
		    fifo ? "yes" : settings->prio ? "refused" : "unwanted");
	record_word(&record, "throttling", throttling);
	record_write(&record);
}
