/* SPDX-License-Identifier: GPL-2.0-or-later */
/* roles.h - what the processes of a run do. Each function runs until its process ends. */
#ifndef ROLES_H
#define ROLES_H

#include "board.h"
#include "settings.h"

/*
 * Victim: a real-time task with a pattern in all registers that sleeps `naps` times without
 * touching the FPU and then checks. The naps keep its fpu_counter low, so that the kernel
 * does not preload its registers; its wake-ups are what preempts an opener in the window.
 */
NORETURN void victim_run(const struct settings *settings, struct board *board, u32 id);
bool victim_check(const struct settings *settings, const struct owner *owner,
		  const struct damage *damage, struct finding *finding);

/*
 * Opener: never uses the FPU itself. It forks children one after the other; the first FPU
 * instruction of each is the load, so each opens exactly one window. With parent_fpu=1 the
 * supervisor has used the FPU: all inherit an area, and there is no window to count.
 */
NORETURN void opener_run(const struct settings *settings, struct board *board, u32 id);
bool opener_check(const struct settings *settings, const struct owner *owner,
		  const struct damage *damage, struct board *board, struct finding *finding);

#endif
