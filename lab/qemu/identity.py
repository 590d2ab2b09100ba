"""Exactly which QEMU this is: what a deterministic console depends on besides the guest.

A version number alone is not enough: builds of one version differ, and firmware comes in
packages of its own. So the program, the module that holds its emulator, and the firmware that
boots kernels are named by hash.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from lab.qemu.binary import NAME, Qemu
from lab.system.answers import cached_sha256, remember
from lab.system.process import run

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


def identity(qemu: Qemu) -> Identity:
    """Ask and hash the QEMU that would run; LabError when it does not answer."""
    return of_program(qemu.path)


def of_program(path: Path) -> Identity:
    """The same for an emulator by its path."""
    program = _program(path)
    version = _says(path, program, "--version").splitlines()[0].strip()
    folders = [Path(line) for line in _says(path, program, "-L", "help").splitlines()]
    # A module lies in lib/TRIPLET/qemu beside the bin that the program lies in.
    folders += sorted(program.parent.parent.glob("lib/*/qemu"))
    parts = {}
    for name in (*FIRMWARE, _MODULE):
        found = next((f / name for f in folders if (f / name).is_file()), None)
        if found is not None:
            parts[name] = cached_sha256(found)
    return Identity(version, cached_sha256(program), parts)


def _says(path: Path, program: Path, *words: str) -> str:
    """What it prints, remembered while the program and a script that stands for it stay."""

    def ask() -> str:
        return run([path, *words], timeout=60)

    if path.resolve() == program and program.open("rb").read(2) == b"#!":
        return ask()  # a script that names no program which could be watched
    return remember([*words, str(path)], [path, program], ask)


def _program(path: Path) -> Path:
    """The program itself, also behind the script that stands for the private QEMU."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.startswith(b"#!"):
        return path.resolve()
    named = re.search(rf"(/[^\s'\"]+/bin/{NAME})\b".encode(), head)
    return Path(named.group(1).decode()) if named else path.resolve()
