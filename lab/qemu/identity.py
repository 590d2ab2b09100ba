# SPDX-License-Identifier: GPL-2.0-or-later
"""Exactly which QEMU this is: what a deterministic console depends on besides the guest.

A version number alone is not enough: builds of one version differ, and firmware comes in
packages of its own. So the program, the module that holds its emulator, and the firmware that
boots kernels are named by hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.qemu.binary import ask, program_of
from lab.system.answers import cached_sha256

# The PC BIOS and the option ROMs that load a kernel, plain and by multiboot (Xen).
FIRMWARE = ("bios-256k.bin", "linuxboot_dma.bin", "multiboot_dma.bin")
# Debian's builds keep the emulator proper in a module.
_MODULE = "accel-tcg-x86_64.so"


@dataclass(frozen=True)
class Identity:
    """``version``: the first line of --version, which in Debian's builds names the package."""

    version: str
    program: str  # SHA-256
    parts: dict[str, str] = field(default_factory=dict)  # file name: SHA-256

    def differences(self, other: Identity) -> list[str]:
        """What differs in ``other``, in words for a person; empty when all is the same."""
        found = []
        if self.version != other.version:
            found.append(f"{other.version} instead of {self.version}")
        elif self.program != other.program:
            found.append(f"another build of {self.version}")
        for name in sorted(self.parts.keys() | other.parts.keys()):
            if self.parts.get(name) != other.parts.get(name):
                found.append(f"another {name}")
        return found


def identify(path: Path) -> Identity:
    """Ask and hash the emulator at ``path``; LabError when it does not answer."""
    program = program_of(path)
    version = ask(path, "--version").splitlines()[0].strip()
    # A module is in lib/TRIPLET/qemu beside the bin folder of the program.
    modules = _hash([_MODULE], sorted(program.parent.parent.glob("lib/*/qemu")))
    return Identity(version, cached_sha256(program), read_firmware(path) | modules)


def read_firmware(path: Path) -> dict[str, str]:
    """SHA-256 of what boots kernels in the emulator at ``path``, by file name."""
    return _hash(FIRMWARE, [Path(line) for line in ask(path, "-L", "help").splitlines()])


def _hash(names: Iterable[str], folders: Sequence[Path]) -> dict[str, str]:
    """Each file's in the first folder that has it."""
    hashes = {}
    for name in names:
        found = next((f / name for f in folders if (f / name).is_file()), None)
        if found is not None:
            hashes[name] = cached_sha256(found)
    return hashes
