/*
 * pattern.h - the value that a register shall hold, naming its owner.
 *
 *     bits 63..56  role: 'V' victim, 'O' opener, 'I' injected
 *     bits 55..48  the role's id, from 1
 *     bits 47..24  serial: which load of that owner
 *     bits 23..16  0xe0 | register number
 *     bits 15..0   check: the low half of the CRC-32 of the six bytes above
 *
 * Never zero, so that a register in its initial state cannot pass by accident.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include "record.h"
#include "types.h"

enum role { VICTIM, OPENER, INJECTED, ROLES };

struct owner {
	enum role role;
	u32 id;
	u32 serial; /* its low 24 bits are in the pattern */
};

const char *role_name(enum role role);
u64 pattern(const struct owner *owner, u32 reg);
/* All eight registers' patterns. */
void patterns(const struct owner *owner, u64 into[8]);
/* False when the value is nobody's pattern. */
bool pattern_owner(u64 value, struct owner *owner, u32 *reg);
/* owner=role/id/serial/register, owner=init (zero) or owner=unknown */
void pattern_record(struct record *record, u64 value);

#endif
