// SPDX-License-Identifier: GPL-2.0-or-later
/* text.c - zero-ended strings and numbers. */
#include "text.h"

u32 text_length(const char *text)
{
	u32 length = 0;

	while (text[length])
		length++;
	return length;
}

bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

const char *text_after(const char *text, const char *start)
{
	for (; *start; start++, text++)
		if (*text != *start)
			return NULL;
	return text;
}

const char *text_find(const char *text, const char *part)
{
	for (; *text; text++)
		if (text_after(text, part))
			return text;
	return NULL;
}

void text_copy(char *into, const char *from, u32 size)
{
	u32 used = 0;

	for (; from[used] && used < size - 1; used++)
		into[used] = from[used];
	into[used] = '\0';
}

bool text_number(const char *text, u32 highest, u32 *number)
{
	u64 value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (u32)(*text - '0');
		if (value > highest)
			return false;
	}
	*number = (u32)value;
	return true;
}

u32 text_leading_number(const char *text)
{
	u32 number = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		number = number * 10 + (u32)(*text - '0');
	return number;
}

bool text_has_word(const char *line, const char *word)
{
	while (*line && *line != '\n') {
		const char *rest = text_after(line, word);

		if (rest && (*rest == ' ' || *rest == '\n' || !*rest))
			return true;
		while (*line && *line != ' ' && *line != '\n')
			line++;
		while (*line == ' ')
			line++;
	}
	return false;
}

u64 divide(u64 number, u32 by, u32 *rest)
{
	u64 quotient = 0;
	u64 left = 0;

	for (int bit = 63; bit >= 0; bit--) {
		left = left << 1 | (number >> bit & 1);
		quotient <<= 1;
		if (left >= by) {
			left -= by;
			quotient |= 1;
		}
	}
	if (rest)
		*rest = (u32)left;
	return quotient;
}
