// SPDX-License-Identifier: GPL-2.0-or-later
/* settings.c - one table of what can be set, between which bounds, and its default. */
#include "settings.h"

#include "pattern.h"
#include "text.h"

enum kind { NUMBER, PLACE, FILE_LIST };

enum { EVERY_FILE = USE_MMX | USE_X87 | USE_SSE };

struct setting {
	const char *key;
	u32 offset;
	u32 lowest, highest, standard;
	enum kind kind;
};

#define AT(field) __builtin_offsetof(struct settings, field)

static const struct setting table[] = {
	{ "seed", AT(seed), 0, 4294967295U, 1, NUMBER },
	{ "seconds", AT(seconds), 1, 1000000, 12, NUMBER },
	{ "windows", AT(windows), 0, 2000000000, 0, NUMBER },
	{ "tried", AT(tried), 0, 2000000000, 0, NUMBER },
	{ "at_least", AT(at_least), 0, 2000000000, 0, NUMBER },
	{ "checks", AT(checks), 0, 2000000000, 0, NUMBER },
	{ "openers", AT(openers), 0, OPENERS_MOST, 1, NUMBER },
	{ "victims", AT(victims), 0, VICTIMS_MOST, 2, NUMBER },
	{ "lanes", AT(lanes), 0, 1, 0, NUMBER },
	{ "opener_us", AT(opener_us), 0, 10000000, 0, NUMBER },
	{ "hold_us", AT(hold_us), 0, 10000000, 0, NUMBER },
	{ "victim_us", AT(victim_us), 1, 10000000, 200, NUMBER },
	{ "files", AT(files), 0, 0, EVERY_FILE, FILE_LIST },
	{ "aim", AT(aim), 0, 1, 1, NUMBER },
	{ "naps", AT(naps), 1, 1000, 2, NUMBER },
	{ "steady", AT(steady), 0, STEADY_MOST, 0, NUMBER },
	{ "witness", AT(witness), 0, 1, 0, NUMBER },
	{ "prio", AT(prio), 0, 90, 10, NUMBER },
	{ "opener_prio", AT(opener_prio), 0, 90, 0, NUMBER },
	{ "parent_fpu", AT(parent_fpu), 0, 1, 0, NUMBER },
	{ "halt", AT(halt), 0, 1, 0, NUMBER },
	{ "pressure", AT(pressure), 0, 2000, 0, NUMBER },
	{ "opener_cpu", AT(opener_cpu), 0, HIGHEST_CPU, 0, PLACE },
	{ "victim_cpu", AT(victim_cpu), 0, HIGHEST_CPU, 0, PLACE },
	{ "stop", AT(stop), 0, 1000000, 0, NUMBER },
	{ "inject", AT(inject), 0, 1, 0, NUMBER },
};

static u32 *field(struct settings *settings, const struct setting *setting)
{
	return (u32 *)(void *)((char *)settings + setting->offset);
}

void settings_default(struct settings *settings)
{
	settings->given = 0;
	text_copy(settings->run, "none", sizeof(settings->run));
	for (u32 i = 0; i < LENGTH(table); i++)
		*field(settings, &table[i]) = table[i].standard;
}

static u32 times(u32 number, u32 by, u32 most)
{
	return number <= most / by ? number * by : most / by * by;
}

void settings_spread(struct settings *settings, u32 vcpus)
{
	if (!settings->lanes || vcpus < 2 || vcpus > VICTIMS_MOST)
		return;
	settings->openers = times(settings->openers, vcpus, OPENERS_MOST);
	settings->victims = times(settings->victims, vcpus, VICTIMS_MOST);
	settings->opener_cpu = settings->victim_cpu = PLACE_SPREAD;
}

bool settings_aim(const struct settings *settings)
{
	return settings->aim && !settings->halt && !settings->pressure;
}

static bool refuse(char reason[64], const char *why, const char *word)
{
	u32 used;

	text_copy(reason, why, 64);
	used = text_length(reason);
	text_copy(reason + used, word, 64 - used);
	return false;
}

static bool run_word(struct settings *settings, const char *value)
{
	for (const char *at = value; *at; at++) {
		const char c = *at;
		const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				   (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';

		if (!plain)
			return false;
	}
	if (!*value || text_length(value) >= sizeof(settings->run))
		return false;
	text_copy(settings->run, value, sizeof(settings->run));
	return true;
}

/* Names with commas between them, none twice. */
static bool file_list(const char *value, u32 *into)
{
	for (*into = 0; *value;) {
		u32 file = 0;
		const char *rest = NULL;

		while (file < FILES && !(rest = text_after(value, file_name((enum file)file))))
			file++;
		if (!rest || *into >> file & 1 || (*rest && (*rest != ',' || !rest[1])))
			return false;
		*into |= 1U << file;
		value = *rest ? rest + 1 : rest;
	}
	return *into;
}

static bool set(struct settings *settings, const struct setting *setting, const char *value)
{
	u32 *into = field(settings, setting);

	if (setting->kind == PLACE && text_equal(value, "any")) {
		*into = PLACE_ANY;
		return true;
	}
	if (setting->kind == PLACE && text_equal(value, "spread")) {
		*into = PLACE_SPREAD;
		return true;
	}
	if (setting->kind == FILE_LIST)
		return file_list(value, into);
	return text_number(value, setting->highest, into) && *into >= setting->lowest;
}

static bool given_before(struct settings *settings, u32 bit)
{
	const bool before = settings->given >> bit & 1;

	settings->given |= 1U << bit;
	return before;
}

bool settings_word(struct settings *settings, const char *word, char reason[64])
{
	const char *value = text_after(word, "run=");
	bool valid = false;
	u32 bit = LENGTH(table);

	if (value) {
		valid = run_word(settings, value);
	} else {
		for (bit = 0; bit < LENGTH(table); bit++) {
			value = text_after(word, table[bit].key);
			if (value && *value == '=')
				break;
		}
		if (bit == LENGTH(table))
			return refuse(reason, "unknown_setting:", word);
		valid = set(settings, &table[bit], value + 1);
	}
	if (!valid)
		return refuse(reason, "bad_value:", word);
	return !given_before(settings, bit) || refuse(reason, "given_twice:", word);
}

bool settings_boot_line(struct settings *settings, const char *line, char reason[64])
{
	while (*line) {
		char word[128];
		u32 used = 0;
		const char *setting;

		while (*line == ' ' || *line == '\n')
			line++;
		for (; *line && *line != ' ' && *line != '\n'; line++)
			if (used < sizeof(word) - 1)
				word[used++] = *line;
		word[used] = '\0';
		setting = text_after(word, "mmx.");
		if (setting && !settings_word(settings, setting, reason))
			return false;
	}
	return true;
}

static void place(struct record *record, const char *key, u32 value)
{
	if (value == PLACE_ANY)
		record_word(record, key, "any");
	else if (value == PLACE_SPREAD)
		record_word(record, key, "spread");
	else
		record_number(record, key, value);
}

void settings_put_files(struct record *record, u32 files)
{
	for (u32 file = 0; file < FILES; file++) {
		if (!(files >> file & 1))
			continue;
		record_text(record, file_name((enum file)file));
		if (files >> file > 1)
			record_text(record, ",");
	}
}

void settings_record(const struct settings *settings, struct record *record)
{
	struct settings copy = *settings;

	for (u32 i = 0; i < LENGTH(table); i++) {
		const u32 value = *field(&copy, &table[i]);

		if (table[i].kind == PLACE) {
			place(record, table[i].key, value);
		} else if (table[i].kind == FILE_LIST) {
			record_key(record, table[i].key);
			settings_put_files(record, value);
		} else {
			record_number(record, table[i].key, value);
		}
	}
}
