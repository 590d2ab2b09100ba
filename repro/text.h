/* SPDX-License-Identifier: GPL-2.0-or-later */
/* text.h - zero-ended strings and numbers, without a C library and without the FPU. */
#ifndef TEXT_H
#define TEXT_H

#include "types.h"

u32 text_length(const char *text);
bool text_equal(const char *a, const char *b);
/* What follows `start` in `text` if it begins with it, else NULL. */
const char *text_after(const char *text, const char *start);
/* The first place of `part` in `text`, else NULL. */
const char *text_find(const char *text, const char *part);
void text_copy(char *into, const char *from, u32 size);
/* Decimal digits only, at most `highest`. */
bool text_number(const char *text, u32 highest, u32 *number);
/* The digits that `text` begins with, as a number; 0 without any. */
u32 text_leading_number(const char *text);
/* Is `word` one of the words of `line`, up to its end? */
bool text_has_word(const char *line, const char *word);
/* 64-bit division: a 32-bit program without libgcc lacks it. */
u64 divide(u64 number, u32 by, u32 *rest);

#endif
