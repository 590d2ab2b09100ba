/* pattern.c - values that name their owner. */
#include "pattern.h"

static const char letters[ROLES] = { 'V', 'O', 'I' };
static const char *const names[ROLES] = { "victim", "opener", "injected" };

const char *role_name(enum role role)
{
	return names[role];
}

static u64 with_check(u64 value)
{
	u8 bytes[6];

	for (u32 i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)(value >> (56 - 8 * i));
	return value | (crc32(bytes, sizeof(bytes)) & 0xffff);
}

u64 pattern(const struct owner *owner, u32 reg)
{
	return with_check((u64)(u8)letters[owner->role] << 56 | (u64)(owner->id & 0xff) << 48 |
			  (u64)(owner->serial & 0xffffff) << 24 | (0xe0ULL | reg) << 16);
}

void patterns(const struct owner *owner, u64 into[8])
{
	for (u32 reg = 0; reg < 8; reg++)
		into[reg] = pattern(owner, reg);
}

bool pattern_owner(u64 value, struct owner *owner, u32 *reg)
{
	const u32 tag = (u32)(value >> 16) & 0xff;

	if (with_check(value & ~0xffffULL) != value || tag < 0xe0 || tag > 0xe7)
		return false;
	for (u32 role = 0; role < ROLES; role++) {
		if ((char)(value >> 56) != letters[role])
			continue;
		owner->role = (enum role)role;
		owner->id = (u32)(value >> 48) & 0xff;
		owner->serial = (u32)(value >> 24) & 0xffffff;
		*reg = tag & 7;
		return true;
	}
	return false;
}

void pattern_record(struct record *record, u64 value)
{
	struct owner owner;
	u32 reg;

	if (!value) {
		record_word(record, "owner", "init");
	} else if (!pattern_owner(value, &owner, &reg)) {
		record_word(record, "owner", "unknown");
	} else {
		record_word(record, "owner", role_name(owner.role));
		record_text(record, "/");
		record_digits(record, owner.id);
		record_text(record, "/");
		record_digits(record, owner.serial);
		record_text(record, "/mm");
		record_digits(record, reg);
	}
}
