/* SPDX-License-Identifier: GPL-2.0-or-later */
/* settings.h - what a run has to do: `key=value` words, from argv or the kernel command line. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "record.h"
#include "registers.h"
#include "types.h"

enum { OPENERS_MOST = 400, VICTIMS_MOST = 64, STEADY_MOST = 64 };
enum { PLACE_ANY = 1001, PLACE_SPREAD = 1002, HIGHEST_CPU = 1000 };

struct settings {
	char run[65];     /* the controller's word for this run, repeated in `start` */
	u32 seed;         /* jitters the periods, reproducibly */
	u32 seconds;      /* the run ends then at the latest */
	u32 windows;      /* ... or after so many first FPU uses; 0: no such limit */
	u32 tried;        /* ... or so many of those in which a victim woke; 0: no such limit */
	u32 at_least;     /* with fewer first FPU uses it continues, up to PATIENCE times as long */
	u32 checks;       /* ... and with fewer checks of all roles, also past `windows` */
	u32 openers;      /* parents that fork one FPU-using child after the other */
	u32 victims;      /* tasks that hold patterns in registers across sleeps */
	u32 lanes;        /* 1: so many openers and victims for each vCPU, pinned to it */
	u32 opener_us;    /* pause between two children of an opener; 0: none */
	u32 hold_us;      /* a child sleeps so long on its pattern; 0: it only yields */
	u32 victim_us;    /* one nap of a victim, half to one and a half of it */
	u32 files;        /* register files that are watched, a bit each */
	u32 aim;          /* 1: victims are woken so as to wake inside windows; naps are left out */
	u32 naps;         /* naps between a victim's load and its check */
	u32 steady;       /* more victims, which use the FPU at every wake-up: naps = 1 */
	u32 witness;      /* 1: only what the steady ones see is counted */
	u32 prio;         /* SCHED_FIFO priority of victims; 0: ordinary tasks */
	u32 opener_prio;  /* ... and of openers: victims of less starve */
	u32 parent_fpu;   /* 1: the openers' parent has used the FPU, so none opens a window */
	u32 halt;         /* 1: openers are held back so that the vCPU halts in windows */
	u32 pressure;     /* MiB of a process that the kernel kills when memory runs short; 0: none */
	u32 opener_cpu;   /* a number, PLACE_ANY, or PLACE_SPREAD: id modulo the vCPUs */
	u32 victim_cpu;
	u32 stop;         /* end after so many windows with a failed check; 0: never for that */
	u32 inject;       /* 1: damage patterns on purpose, every detector must fire */
	u32 given;        /* which were set, one bit each: none may be set twice */
};

void settings_default(struct settings *settings);
/* With lanes=1: as many openers and victims for each vCPU, in their places. */
void settings_spread(struct settings *settings, u32 vcpus);
/*
 * Whether openers aim. Those that are held back reach no window in time, and with memory short
 * windows last long, and children that wait for a moment were seen to have none.
 */
bool settings_aim(const struct settings *settings);
/* One word. False, and why in `reason`, when it is not a setting or has a wrong value. */
bool settings_word(struct settings *settings, const char *word, char reason[64]);
/* All ` mmx.key=value` words of a kernel command line; other words are ignored. */
bool settings_boot_line(struct settings *settings, const char *line, char reason[64]);
/* mmx,x87,sse */
void settings_put_files(struct record *record, u32 files);
void settings_record(const struct settings *settings, struct record *record);

#endif
