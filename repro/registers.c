/* registers.c - mm0..mm7, kept in functions of their own so that a disassembly proves it. */
#include "registers.h"

#include "asm.h"

void registers_load(const u64 from[8])
{
	asm_mmx_load(from);
}

void registers_store(u64 to[8])
{
	asm_mmx_store(to);
}

void registers_set(u32 reg, u64 value)
{
	switch (reg) {
	case 0: ASM_MMX_SET(0, &value); break;
	case 1: ASM_MMX_SET(1, &value); break;
	case 2: ASM_MMX_SET(2, &value); break;
	case 3: ASM_MMX_SET(3, &value); break;
	case 4: ASM_MMX_SET(4, &value); break;
	case 5: ASM_MMX_SET(5, &value); break;
	case 6: ASM_MMX_SET(6, &value); break;
	default: ASM_MMX_SET(7, &value); break;
	}
}
