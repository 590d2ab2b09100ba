/* SPDX-License-Identifier: GPL-2.0-or-later */
/* environment.h - what a process can find out about its kernel, its FPU mode, and Xen. */
#ifndef ENVIRONMENT_H
#define ENVIRONMENT_H

#include "record.h"
#include "types.h"

struct environment {
	char release[65];
	char xen_version[16];
	char flags[64];
	const char *xen, *xen_how; /* none, pv, pvh, hvm, unknown */
	const char *dom0;          /* 0, 1, unknown */
	const char *fpu, *fpu_how; /* lazy, eager, unknown */
	const char *preempt;       /* none, voluntary, full, unknown */
	const char *control;       /* bad, fixed, off, none */
	u32 vcpus;
};

/* /proc and /sys are mounted. Works on any kernel from 2.6.26 on; unsure means "unknown". */
void environment_read(struct environment *environment);
void environment_record(const struct environment *environment, struct record *record);

#endif
