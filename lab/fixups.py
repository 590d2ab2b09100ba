"""What stands between an old Linux tree and today's compiler, as data.

Each entry has the versions it was seen to be needed in, or what a tree lacks, and why. What can
be given from outside (compiler words, an include folder) is; the rest is an edit to a *copy* of
the source. Kernels build as they are where nothing applies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Version = tuple[int, int]
_NEWEST: Version = (99, 0)

# Words for the compiler, put into CC= so that the tree's own flags come after and win. Never
# into KCFLAGS: -fcommon there would override the kernel's -fno-common and misplace boot_params.
_COMPILER_WORDS: tuple[tuple[Version, str, str], ...] = (
    ((4, 9), "-fno-pie", "distributions made PIE the default; the tree says -fno-pie since 4.9"),
    ((4, 9), "-no-pie", "the same, where the compiler links"),
    ((5, 17), "-fcf-protection=none", "CET marks by default; the tree says so itself later"),
    ((4, 19), "-std=gnu89", "older headers rely on gnu89's inline"),
    ((4, 6), "-Wa,-mrelax-relocations=no", "the decompressor cannot apply relaxed GOT relocations"),
    ((4, 19), "-w", "warnings that did not exist then, as errors in places"),
)
# Host programs (dtc, kconfig) of that time define variables in headers.
_HOST_WORDS: tuple[tuple[Version, str, str], ...] = (
    ((5, 5), "-fcommon", "dtc defines yylloc twice; the default was -fcommon before gcc 10"),
    ((5, 5), "-w", "as above"),
)


@dataclass(frozen=True)
class Edit:
    """One change to a file of the copy. ``change`` returns None where nothing is to be done."""

    name: str
    path: str
    last: Version  # the newest series in which it is looked for
    why: str
    change: Callable[[str], str | None]


def _replaced(pattern: str, by: str) -> Callable[[str], str | None]:
    def change(text: str) -> str | None:
        new, count = re.subn(pattern, by, text, flags=re.M)
        return new if count else None

    return change


EDITS: tuple[Edit, ...] = (
    Edit(
        "near-jump-64", "arch/x86/kernel/head_64.S", (4, 0),
        "early_idt_handlers are 9 bytes each only if the assembler takes a 5-byte jump; binutils "
        "of today takes a short one, and the first early page fault hangs natively and in HVM "
        "while a PV guest boots (mainline 425be5679fd2)",
        _replaced(r"^(\s*)jmp\s+early_idt_handler$",
                  r"\1.byte 0xe9\n\1.long early_idt_handler - . - 4"),
    ),
    Edit(
        "near-jump-32", "arch/x86/kernel/head_32.S", (4, 0), "as near-jump-64",
        _replaced(r"^(\s*)jmp\s+early_idt_handler$",
                  r"\1.byte 0xe9\n\1.long early_idt_handler - . - 4"),
    ),
    Edit(
        "defined-array", "kernel/timeconst.pl", (3, 8),
        "perl 5.22 refuses defined(@array) (mainline 63a3f603413f)",
        _replaced(r"defined\(@(\w+)\)", r"@\1"),
    ),
    Edit(
        "vdso-emulation", "arch/x86/vdso/Makefile", (3, 2),
        "gcc passes -m elf_x86_64 to itself and not to the linker any more",
        _replaced(r"-m elf_x86_64", "-m64"),
    ),
    Edit(
        "vdso-emulation-32", "arch/x86/vdso/Makefile", (3, 2), "as vdso-emulation",
        _replaced(r"-m elf_i386", "-m32"),
    ),
)  # fmt: skip


def version(source: Path) -> Version:
    """VERSION and PATCHLEVEL of a tree's Makefile; (99, 0) where it does not tell."""
    text = (source / "Makefile").read_text(errors="replace")
    found = [re.search(rf"^{key}\s*=\s*(\d+)\s*$", text, re.M) for key in ("VERSION", "PATCHLEVEL")]
    if not all(found):
        return _NEWEST
    major, minor = (int(match.group(1)) for match in found if match)
    return major, minor


def compiler_words(release: Version) -> str:
    """For CC=, after the compiler's name."""
    return " ".join(word for last, word, _ in _COMPILER_WORDS if release <= last)


def host_words(release: Version) -> str:
    """For HOSTCC=."""
    return " ".join(word for last, word, _ in _HOST_WORDS if release <= last)


def apply(source: Path) -> list[str]:
    """Edit the copy where its version and text call for it; what was done, by name. Idempotent."""
    release = version(source)
    done = []
    for edit in EDITS:
        path = source / edit.path
        if release > edit.last or not path.is_file():
            continue
        new = edit.change(path.read_text(errors="surrogateescape"))
        if new is not None:
            path.write_text(new, errors="surrogateescape")
            done.append(edit.name)
    return done


def include_folder(source: Path, into: Path, major: int) -> Path | None:
    """A folder with the compiler-gccN.h that the tree lacks (before 4.2); None where it lacks none.

    ``compiler-gcc.h`` of those trees includes a header named after gcc's major version. The
    newest that the tree has is given under today's name, from outside.
    """
    headers = source / "include" / "linux"
    general = headers / "compiler-gcc.h"
    if not general.is_file() or "gcc_header" not in general.read_text(errors="replace"):
        return None
    if (headers / f"compiler-gcc{major}.h").is_file():
        return None
    there = sorted(headers.glob("compiler-gcc[0-9].h"))
    if not there:
        return None
    folder = into / "linux"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"compiler-gcc{major}.h"
    text = there[-1].read_text(errors="replace")
    if not target.is_file() or target.read_text(errors="replace") != text:
        target.write_text(text)
    return into
