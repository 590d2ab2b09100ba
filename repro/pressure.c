/* pressure.c - memory pressure. */
#include "roles.h"
#include "sys.h"

enum { MIB = 1 << 20, PAGE = 4096 };

void pressure_run(const struct settings *settings, struct board *board)
{
	const u32 bytes = settings->pressure * MIB;

	for (;;) {
		u8 *block = sys_map(bytes, false);

		for (u32 at = 0; block && at < bytes; at += PAGE) {
			*(volatile u8 *)(block + at) = 1;
			if (at % MIB == 0)
				board_count(&board->pressed);
		}
		if (block)
			sys_unmap(block, bytes);
		sys_sleep(1000);
	}
}
