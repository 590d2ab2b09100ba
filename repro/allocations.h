/* SPDX-License-Identifier: GPL-2.0-or-later */
/* allocations.h - the kernel's own count of windows, where it has one. */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

/* FPU areas that #NM has allocated since boot; below 0 where the kernel does not say. */
long allocations_in_nm(void);

#endif
