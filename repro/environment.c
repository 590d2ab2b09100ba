// SPDX-License-Identifier: GPL-2.0-or-later
/* environment.c - what a process can find out about its kernel and its FPU mode. */
#include "environment.h"

#include "sys.h"
#include "text.h"
#include "xen.h"

enum { LOG_SIZE = 1 << 20, CPUINFO_SIZE = 1 << 18 };

static const char no_text[] = "";

/* major * 1000 + minor: 2.6.x counts as 2006, whatever follows. */
static u32 version(const char *release)
{
	u32 part[2] = { 0, 0 };

	for (u32 i = 0; i < 2; i++) {
		while (*release >= '0' && *release <= '9')
			part[i] = part[i] * 10 + (u32)(*release++ - '0');
		if (*release != '.')
			break;
		release++;
	}
	return part[0] * 1000 + part[1];
}

static void read_cpuinfo(struct environment *environment, const char *cpuinfo)
{
	static const char *const wanted[] = { "fxsr", "mmx", "sse", "xsave", "xsaveopt", "eagerfpu" };
	const char *flags = text_find(cpuinfo, "\nflags");
	u32 used = 0;

	for (u32 i = 0; flags && i < LENGTH(wanted); i++) {
		if (!text_has_word(flags + 1, wanted[i]))
			continue;
		if (used)
			environment->flags[used++] = ',';
		text_copy(environment->flags + used, wanted[i],
			  (u32)sizeof(environment->flags) - used);
		used += text_length(wanted[i]);
	}
	for (const char *at = cpuinfo; (at = text_find(at, "processor\t:")); at++)
		environment->vcpus++;
	if (!environment->vcpus)
		environment->vcpus = sys_cpus_allowed();
}

static void say(struct environment *environment, const char *mode, const char *how)
{
	environment->fpu = mode;
	environment->fpu_how = how;
}

/*
 * Depends on the kernel: up to 3.6 always lazy; 3.7 to 4.1 show it only by the flag
 * `eagerfpu`; 4.2 to 4.8 also by a line in the log; 4.9 and later are eager.
 * Vendors moved `eagerfpu` to older kernels, so the flag is checked first.
 */
static void read_fpu_mode(struct environment *environment, const char *cpuinfo, const char *log)
{
	const u32 kernel = version(environment->release);
	const char *flags = text_find(cpuinfo, "\nflags");

	if (text_find(log, "lab control kernel: eager FPU"))
		say(environment, "eager", "control");
	else if (text_find(log, "lab control kernel: lazy FPU"))
		say(environment, "lazy", "control");
	else if (kernel >= 4009)
		say(environment, "eager", "version");
	else if (flags && text_has_word(flags + 1, "eagerfpu"))
		say(environment, "eager", "cpuinfo");
	else if (text_find(log, "x86/fpu: Using 'lazy' FPU context switches"))
		say(environment, "lazy", "dmesg");
	else if (text_find(log, "x86/fpu: Using 'eager' FPU context switches"))
		say(environment, "eager", "dmesg");
	else if (kernel && kernel <= 3006)
		say(environment, "lazy", "version");
	else if (kernel && flags)
		say(environment, "lazy", "cpuinfo");
}

static void read_control(struct environment *environment, const char *log)
{
	const char *state = text_find(log, "x86/fpu: lab control kernel: ");

	state = state ? text_find(state, "state=") : NULL;
	if (!state)
		return;
	if (text_after(state, "state=bad"))
		environment->control = "bad";
	else if (text_after(state, "state=fixed"))
		environment->control = "fixed";
	else if (text_after(state, "state=off"))
		environment->control = "off";
}

/* Kernels name only the full model; none and voluntary look alike without the config. */
static void read_preemption(struct environment *environment, const char *kernel, const char *log)
{
	if (text_find(kernel, "PREEMPT_DYNAMIC")) {
		if (text_find(log, "Dynamic Preempt: none"))
			environment->preempt = "none";
		else if (text_find(log, "Dynamic Preempt: voluntary"))
			environment->preempt = "voluntary";
		else if (text_find(log, "Dynamic Preempt: full"))
			environment->preempt = "full";
	} else if (text_find(kernel, "PREEMPT")) {
		environment->preempt = "full";
	}
}

void environment_read(struct environment *environment)
{
	char *cpuinfo = sys_map(CPUINFO_SIZE, false);
	char *log = sys_map(LOG_SIZE, false);
	const char *lines = log && sys_kernel_log(log, LOG_SIZE) > 0 ? log : no_text;
	struct sys_name name;

	*environment = (struct environment){
		.xen = "unknown", .xen_how = "none", .dom0 = "unknown",
		.fpu = "unknown", .fpu_how = "none", .preempt = "unknown", .control = "none",
	};
	sys_uname(&name);
	text_copy(environment->release, name.release, sizeof(environment->release));
	if (cpuinfo) {
		cpuinfo[0] = '\n';
		sys_read_file("/proc/cpuinfo", cpuinfo + 1, CPUINFO_SIZE - 1);
	}
	read_cpuinfo(environment, cpuinfo ? cpuinfo : no_text);
	read_control(environment, lines);
	read_fpu_mode(environment, cpuinfo ? cpuinfo : no_text, lines);
	read_preemption(environment, name.version, lines);
	xen_read(environment, lines);
	/* Unmapped, so that forks do not have to copy these pages. */
	if (cpuinfo)
		sys_unmap(cpuinfo, CPUINFO_SIZE);
	if (log)
		sys_unmap(log, LOG_SIZE);
}

void environment_record(const struct environment *environment, struct record *record)
{
	record_word(record, "release", environment->release);
	record_word(record, "xen", environment->xen);
	record_word(record, "dom0", environment->dom0);
	record_word(record, "xenhow", environment->xen_how);
	record_word(record, "xenver",
		    environment->xen_version[0] ? environment->xen_version : "unknown");
	record_word(record, "fpu", environment->fpu);
	record_word(record, "fpuhow", environment->fpu_how);
	record_word(record, "flags", environment->flags);
	record_number(record, "vcpus", environment->vcpus);
	record_word(record, "preempt", environment->preempt);
	record_word(record, "control", environment->control);
}
