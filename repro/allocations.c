// SPDX-License-Identifier: GPL-2.0-or-later
/* allocations.c - only the lab's control kernel counts them; old kernels keep no such number. */
#include "allocations.h"

#include "sys.h"
#include "text.h"

long allocations_in_nm(void)
{
	char text[24];
	u32 number;

	if (sys_read_file("/sys/module/kernel/parameters/fpu_first_uses", text, sizeof(text)) < 0)
		return -1;
	for (char *at = text; *at; at++)
		if (*at == '\n')
			*at = '\0';
	return text_number(text, 0x7fffffff, &number) ? (long)number : -1;
}
