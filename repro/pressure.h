/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pressure.h - memory runs short while the openers' children have their first FPU uses.
 *
 * With PREEMPT_NONE the allocation in #NM gives way to another task only where it has to wait
 * for memory: in direct reclaim, or while the kernel kills a process to get some. A shortage in
 * every allocation would end the run, so it is made on purpose and for a moment:
 *   1. the children of all openers wait (pressure_turn);
 *   2. the *fuse* maps and touches `pressure` MiB and offers itself as the first to be killed;
 *   3. the watermark below which the kernel allocates nothing is raised above what is free, and
 *      the children have their first FPU uses one after the other (pressure_next), each keeping
 *      its FPU area, until the allocator needs a new page: reclaim finds nothing, and the kernel
 *      kills the fuse. `pressed` counts these;
 *   4. the watermark is put back.
 * So this needs openers enough to fill a slab (openers=200 hold_us=50000), and PID 1: it is the
 * whole machine's memory.
 */
#ifndef PRESSURE_H
#define PRESSURE_H

#include "board.h"
#include "settings.h"

/* The role: one shortage after the other. */
NORETURN void pressure_run(const struct settings *settings, struct board *board);
/* An opener's child, before its first FPU use: waits for its turn in a shortage. */
void pressure_turn(struct board *board);
/* ... and after it: the next one's turn. */
void pressure_next(struct board *board);

#endif
