// SPDX-License-Identifier: GPL-2.0-or-later
/* record.c - put a record together and write it. */
#include "record.h"

#include "sys.h"
#include "text.h"

#ifndef RECORD_MARK
#define RECORD_MARK "@mmx"
#endif

enum { TAIL = sizeof(" #01234567\n"), RUN = sizeof(" run=") + 64 };

static u32 next_number;
static bool on_console;
static const char *belongs;

void record_on_console(bool yes)
{
	on_console = yes;
}

void record_belongs(const char *run)
{
	belongs = run;
}

static void add(struct record *record, char c)
{
	/* A record that is too long loses its end, never its run and its CRC. */
	if (record->used < sizeof(record->text) - TAIL - RUN)
		record->text[record->used++] = c;
}

void record_text(struct record *record, const char *text)
{
	for (; *text; text++)
		add(record, *text > ' ' && *text <= '~' ? *text : '_');
}

static void padded(struct record *record, u64 value, u32 width)
{
	char digits[20];
	u32 count = 0;

	do {
		u32 digit;

		value = divide(value, 10, &digit);
		digits[count++] = (char)('0' + digit);
	} while (value || count < width);
	while (count)
		add(record, digits[--count]);
}

void record_digits(struct record *record, u64 value)
{
	padded(record, value, 1);
}

static void hex(struct record *record, u64 value, u32 width)
{
	while (width--)
		add(record, "0123456789abcdef"[value >> 4 * width & 15]);
}

void record_key(struct record *record, const char *key)
{
	add(record, ' ');
	record_text(record, key);
	add(record, '=');
}

void record_begin(struct record *record, const char *type)
{
	record->used = 0;
	record_text(record, RECORD_MARK);
	add(record, ' ');
	record_digits(record, next_number++);
	add(record, ' ');
	record_text(record, type);
}

void record_word(struct record *record, const char *key, const char *value)
{
	record_key(record, key);
	record_text(record, *value ? value : "none");
}

void record_number(struct record *record, const char *key, u64 value)
{
	record_key(record, key);
	record_digits(record, value);
}

void record_hex(struct record *record, const char *key, u64 value)
{
	record_key(record, key);
	hex(record, value, 16);
}

void record_time(struct record *record, const char *key, u64 microseconds)
{
	u32 rest;
	const u64 seconds = divide(microseconds, 1000000, &rest);

	record_key(record, key);
	record_digits(record, seconds);
	add(record, '.');
	padded(record, rest, 6);
}

static u32 crc_add(u32 crc, const u8 *at, u32 length)
{
	while (length--) {
		crc ^= *at++;
		for (u32 bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

u32 crc32_begun(const void *bytes, u32 length)
{
	return crc_add(0xffffffff, bytes, length);
}

u32 crc32_ended(u32 begun, const void *bytes, u32 length)
{
	return ~crc_add(begun, bytes, length);
}

u32 crc32(const void *bytes, u32 length)
{
	return ~crc32_begun(bytes, length);
}

/* Another boot's records on the same console must not be taken for this one's. */
static void add_run(struct record *record)
{
	if (!belongs)
		return;
	for (const char *c = " run="; *c; c++)
		record->text[record->used++] = *c;
	for (u32 left = 64; left && belongs[64 - left]; left--)
		record->text[record->used++] = belongs[64 - left];
}

void record_write(struct record *record)
{
	char line[sizeof(record->text) + 1];
	u32 length = 0, crc;

	add_run(record);
	crc = crc32(record->text, record->used);
	record->text[record->used++] = ' ';
	record->text[record->used++] = '#';
	for (u32 digit = 8; digit--;)
		record->text[record->used++] = "0123456789abcdef"[crc >> 4 * digit & 15];
	record->text[record->used++] = '\n';
	if (on_console)
		line[length++] = '\n';
	for (u32 i = 0; i < record->used; i++)
		line[length++] = record->text[i];
	sys_write(1, line, length);
}
