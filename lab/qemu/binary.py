# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator: which QEMU this machine has, and which guest kinds it can emulate.

pvh and hvm guests need a processor with virtualization inside the emulated machine. QEMU
emulates AMD's (SVM), and how well depends on its version (all of this was read off runs):

* 7.2: all five kinds work (pvh and hvm with ``tsc_mode="native"`` in the guest's settings);
* 10.0 and later: every guest read of a control register exits as a read of CR0, Linux takes
  its first page fault at a wrong address and halts, so pvh and hvm do not work;
* between them: not tried, so not promised.

Under KVM the processor's own nesting counts instead, whatever the version.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.config.kinds import GUEST_KINDS, GuestKind
from lab.errors import LabError, UserError
from lab.system.answers import remember
from lab.system.process import run

OLDEST = (7, 2)
_BROKEN_SVM = (10, 0)
_WITHOUT_SVM: tuple[GuestKind, ...] = ("native", "dom0", "pv")
_VERSION = re.compile(r"emulator version (\d+)\.(\d+)(?:\.(\d+))?")
NAME = "qemu-system-x86_64"


@dataclass(frozen=True)
class Qemu:
    """``kinds``: the guest kinds that it can do by emulation; ``why``: the reason, one phrase.

    ``origin`` is ``$LAB_QEMU``, ``machine`` or ``private``. ``path`` can be libvirt's emulator.
    """

    path: Path
    version: str
    kinds: tuple[GuestKind, ...]
    why: str
    origin: str = "machine"

    @property
    def complete(self) -> bool:
        return set(self.kinds) == set(GUEST_KINDS)


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The numbers in the first line of ``qemu --version``; None when it is not QEMU's."""
    match = _VERSION.search(text)
    if match is None:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0)


def kinds_of(version: tuple[int, ...], chosen: bool = False) -> tuple[tuple[GuestKind, ...], str]:
    """Guest kinds under emulation and the reason, from the version alone.

    ``chosen``: the user named this QEMU, so an untried version is given the benefit of the doubt.
    """
    if version[:2] == OLDEST:
        return GUEST_KINDS, "7.2 emulates SVM well enough for all five kinds"
    if version[:2] >= _BROKEN_SVM:
        return _WITHOUT_SVM, "since 10.0 its emulated SVM cannot run pvh and hvm guests"
    if chosen:
        return GUEST_KINDS, "pvh and hvm were not tried on this version: chosen, so tried"
    return _WITHOUT_SVM, "pvh and hvm were not tried on this version: take 7.2 for them"


def inspect(path: Path, origin: str) -> Qemu:
    """Ask a binary for its version. UserError when it does not run, is not a QEMU or is too old."""
    try:
        said = ask(path, "--version")
    except (LabError, OSError) as error:
        raise UserError(f"{_name(origin)} {path} does not run: {error}") from error
    version = parse_version(said)
    if version is None:
        raise UserError(f"{_name(origin)} {path} does not say that it is a QEMU")
    if version[:2] < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UserError(
            f"{_name(origin)} {path} is {_join(version)}, too old: {oldest} is the oldest"
            " supported; install Debian's qemu-system-x86 or point $LAB_QEMU at a newer one"
        )
    kinds, why = kinds_of(version, chosen=origin == "$LAB_QEMU")
    return Qemu(path, _join(version), kinds, why, origin)


def find() -> Qemu:
    """``$LAB_QEMU`` where set, else the machine's own; UserError when there is no QEMU."""
    chosen = os.environ.get("LAB_QEMU")
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise UserError(f"$LAB_QEMU is {chosen!r}: there is no such program")
        return inspect(Path(found).absolute(), "$LAB_QEMU")
    found = shutil.which(NAME)
    if found is None:
        raise UserError(
            f"QEMU ({NAME}) is not installed; `apt-get install qemu-system-x86` gives it"
        )
    return inspect(Path(found), "machine")


def ask(path: Path, *words: str) -> str:
    """What the program prints, cached until it or its wrapper script changes."""

    def run_it() -> str:
        return run([path, *words], timeout=60)

    if not path.is_file():
        return run_it()
    program = program_of(path)
    if path.resolve() == program and program.open("rb").read(2) == b"#!":
        return run_it()  # a script that names no program which could be watched
    return remember([*words, str(path)], [path, program], run_it)


def program_of(path: Path) -> Path:
    """The program itself, also behind the private QEMU's wrapper script."""
    with path.open("rb") as file:
        head = file.read(4096)
    if not head.startswith(b"#!"):
        return path.resolve()
    named = re.search(rf"(/[^\s'\"]+/bin/{NAME})\b".encode(), head)
    return Path(named.group(1).decode()) if named else path.resolve()


def _name(origin: str) -> str:
    return {"$LAB_QEMU": "$LAB_QEMU", "private": "the private QEMU"}.get(origin, "QEMU")


def _join(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
