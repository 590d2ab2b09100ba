// SPDX-License-Identifier: GPL-2.0-or-later
/* pattern.c - values that name their owner. */
#include "pattern.h"

enum { TAG_STACK = 0xe0, TAG_XMM = 0xc0, EXPONENTS = 0x4000 };

static const char letters[ROLES] = { 'V', 'O', 'I' };
static const char *const names[ROLES] = { "victim", "opener", "injected" };
static const char *const files[FILES] = { "mmx", "x87", "sse" };

const char *role_name(enum role role)
{
	return names[role];
}

const char *file_name(enum file file)
{
	return files[file];
}

enum file file_of(u32 place, u32 use)
{
	if (place >= XMM)
		return SSE;
	return use & USE_X87 ? X87 : MMX;
}

bool place_used(u32 place, u32 use)
{
	if (place >= XMM)
		return use & USE_SSE;
	return place >= EXPONENT ? use & USE_X87 : use & (USE_MMX | USE_X87);
}

static u32 tag(u32 place)
{
	if (place < XMM)
		return TAG_STACK | place % 8;
	return TAG_XMM | (place & 1) << 3 | (place - XMM) / 2;
}

/* The CRC of the five bytes that all values of a load share is computed once. */
static u32 shared_crc(u64 name)
{
	u8 bytes[5];

	for (u32 i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)(name >> (56 - 8 * i));
	return crc32_begun(bytes, sizeof(bytes));
}

static u64 with_tag(u64 name, u32 crc, u32 place)
{
	const u8 last = (u8)tag(place);

	if (place >= EXPONENT && place < XMM)
		return EXPONENTS | place % 8;
	return name | (u64)last << 16 | (crc32_ended(crc, &last, 1) & 0xffff);
}

static u64 name_of(const struct owner *owner)
{
	return (u64)(u8)letters[owner->role] << 56 | (u64)(owner->id & 0xff) << 48 |
	       (u64)(owner->serial & 0xffffff) << 24;
}

u64 pattern(const struct owner *owner, u32 place)
{
	const u64 name = name_of(owner);

	return with_tag(name, shared_crc(name), place);
}

static u32 use_of(u32 wanted, u32 serial)
{
	if ((wanted & (USE_MMX | USE_X87)) != (USE_MMX | USE_X87))
		return wanted;
	return wanted & ~(u32)(serial & 1 ? USE_MMX : USE_X87);
}

struct registers patterns(const struct owner *owner, u32 wanted)
{
	const u64 name = name_of(owner);
	const u32 crc = shared_crc(name);
	struct registers registers = { .use = use_of(wanted, owner->serial) };

	registers.sse_first = registers.use & USE_SSE && owner->serial & 2;
	for (u32 place = 0; place < PLACES; place++)
		if (place_used(place, registers.use))
			registers.value[place] = with_tag(name, crc, place);
	return registers;
}

/* False when the value is not a pattern. */
static bool pattern_owner(u64 value, struct owner *owner, u32 *place)
{
	const u32 found = (u32)(value >> 16) & 0xff;

	if ((found & 0xf8) == TAG_STACK)
		*place = STACK + (found & 7);
	else if ((found & 0xf0) == TAG_XMM)
		*place = XMM + 2 * (found & 7) + (found >> 3 & 1);
	else
		return false;
	for (u32 role = 0; role < ROLES; role++) {
		if ((char)(value >> 56) != letters[role])
			continue;
		owner->role = (enum role)role;
		owner->id = (u32)(value >> 48) & 0xff;
		owner->serial = (u32)(value >> 24) & 0xffffff;
		return pattern(owner, *place) == value;
	}
	return false;
}

static void put_register(struct record *record, u32 place, u32 use)
{
	static const char *const prefixes[FILES] = { "mm", "st", "xmm" };

	record_text(record, prefixes[file_of(place, use)]);
	record_digits(record, place >= XMM ? (place - XMM) / 2 : place % 8);
}

void place_record(struct record *record, u32 place, u32 use)
{
	record_key(record, "reg");
	put_register(record, place, use);
	if (place >= XMM)
		record_word(record, "part", place & 1 ? "high" : "low");
	else if (place >= EXPONENT)
		record_word(record, "part", "exponent");
}

void pattern_record(struct record *record, u64 value)
{
	struct owner owner;
	u32 place;

	if (!value) {
		record_word(record, "owner", "init");
	} else if (!pattern_owner(value, &owner, &place)) {
		record_word(record, "owner", "unknown");
	} else {
		record_word(record, "owner", role_name(owner.role));
		record_text(record, "/");
		record_digits(record, owner.id);
		record_text(record, "/");
		record_digits(record, owner.serial);
		record_text(record, "/");
		put_register(record, place, USE_MMX);
	}
}
