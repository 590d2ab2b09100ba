/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pattern.h - the value that a register should hold, naming its owner.
 *
 *     bits 63..56  role: 'V' victim, 'O' opener, 'I' injected
 *     bits 55..48  the role's id, from 1
 *     bits 47..24  serial: which load of that owner
 *     bits 23..16  0xe0 | n: mm<n>, or st(n)'s mantissa; 0xc0 | n: the low half of xmm<n>,
 *                  0xc8 | n: its high half
 *     bits 15..0   check: the low half of the CRC-32 of the six bytes above
 *
 * Never zero, so that a register in its initial state cannot pass by accident. An exponent
 * has room for no name: 0x4000 | n, which neither an MMX instruction nor FNINIT leaves.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include "record.h"
#include "registers.h"
#include "types.h"

enum role { VICTIM, OPENER, INJECTED, ROLES };

struct owner {
	enum role role;
	u32 id;
	u32 serial; /* its low 24 bits are in the pattern */
};

const char *role_name(enum role role);
const char *file_name(enum file file);
/* The file that a place belongs to, when the stack is used by these files' instructions. */
enum file file_of(u32 place, u32 use);
bool place_used(u32 place, u32 use);
u64 pattern(const struct owner *owner, u32 place);
/*
 * The values of this owner's next load, by place. MMX and x87 take turns; so do the stack
 * and SSE for the first instruction.
 */
struct registers patterns(const struct owner *owner, u32 files);
/* reg=mm3, reg=st3, reg=st3 part=exponent, reg=xmm3 part=high */
void place_record(struct record *record, u32 place, u32 use);
/* owner=role/id/serial/register, owner=init (zero) or owner=unknown */
void pattern_record(struct record *record, u64 value);

#endif
