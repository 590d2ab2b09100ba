/* registers.h - the only functions of this program that touch mm0..mm7. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include "types.h"

void registers_load(const u64 from[8]);
void registers_store(u64 to[8]);
/* Put a value into one register: damage on purpose. */
void registers_set(u32 reg, u64 value);

#endif
