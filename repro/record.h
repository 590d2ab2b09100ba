/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * record.h - one line of evidence: a mark, a running number, a type, key=value words, a CRC.
 *
 *     @mmx 12 progress t=3.000124 windows=310 checks=2411 corruptions=7 #5ad0c1e2
 *
 * Written by one write(2), so that a console shared with the kernel can tear a line but
 * never mix two of ours. Only the supervising process writes records.
 */
#ifndef RECORD_H
#define RECORD_H

#include "types.h"

struct record {
	char text[768];
	u32 used;
};

/* PID 1 shares its console with the kernel: begin every record on a line of its own. */
void record_on_console(bool yes);

/* The controller's word for this boot: from now on it is the last word of every record. */
void record_belongs(const char *run);

void record_begin(struct record *record, const char *type);
void record_key(struct record *record, const char *key); /* the value follows as text */
void record_word(struct record *record, const char *key, const char *value);
void record_number(struct record *record, const char *key, u64 value);
void record_hex(struct record *record, const char *key, u64 value);
/* Microseconds, written as seconds with six decimals. */
void record_time(struct record *record, const char *key, u64 microseconds);
/* An already started value's further text: for values that are put together. */
void record_text(struct record *record, const char *text);
void record_digits(struct record *record, u64 value);
void record_write(struct record *record);

u32 crc32(const void *bytes, u32 length);
/* The same in two parts. */
u32 crc32_begun(const void *bytes, u32 length);
u32 crc32_ended(u32 begun, const void *bytes, u32 length);

#endif
