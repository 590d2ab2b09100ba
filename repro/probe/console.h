/* SPDX-License-Identifier: GPL-2.0-or-later */
/* console.h - a guest's console: a ring that dom0's daemon empties. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include "types.h"
#include "xen.h"

/* `notify` says that there is more; `wait` gives the processor away while the ring is full. */
void console_begin(struct console_ring *ring, void (*notify)(void), void (*wait)(void));
void console_write(const char *text, u32 bytes);
/* Until all of it was read. */
void console_flush(void);

#endif
