/* SPDX-License-Identifier: GPL-2.0-or-later */
/* types.h - fixed sizes without any C library. */
#ifndef TYPES_H
#define TYPES_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)
#define NORETURN __attribute__((noreturn))
#define LENGTH(array) ((u32)(sizeof(array) / sizeof((array)[0])))

#endif
