// SPDX-License-Identifier: GPL-2.0-or-later
/* console.c - the producer's side of the console ring. */
#include "console.h"

#include "asm.h"

static volatile struct console_ring *ring;
static void (*notify)(void);
static void (*wait)(void);

void console_begin(struct console_ring *page, void (*say)(void), void (*pause)(void))
{
	ring = page;
	notify = say;
	wait = pause;
}

void console_write(const char *text, u32 bytes)
{
	for (u32 i = 0; i < bytes; i++) {
		while (ring->out_written - ring->out_read == sizeof(ring->out)) {
			notify();
			wait();
		}
		ring->out[ring->out_written % sizeof(ring->out)] = text[i];
		asm_barrier();
		ring->out_written++;
	}
	notify();
}

void console_flush(void)
{
	while (ring->out_written != ring->out_read) {
		notify();
		wait();
	}
}
