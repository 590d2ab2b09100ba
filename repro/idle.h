/* SPDX-License-Identifier: GPL-2.0-or-later */
/* idle.h - did a vCPU have nothing to run? The kernel knows. */
#ifndef IDLE_H
#define IDLE_H

#include "types.h"

/*
 * How often this vCPU went idle, from /proc/timer_list (root only, a kernel with NO_HZ);
 * 0 where the kernel does not say.
 */
u32 idle_calls(u32 cpu);

#endif
