# SPDX-License-Identifier: GPL-2.0-or-later
"""A capsule run again: is the console the same byte for byte, and if not, from where and why."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.console import text as consoletext
from lab.console.watch import Ending, Glance
from lab.errors import LabError
from lab.qemu import choice, machine
from lab.qemu.binary import Qemu
from lab.qemu.identity import Identity
from lab.replay import capsule as capsules
from lab.replay.capsule import Capsule
from lab.system.deadline import Deadline

# Wall time for a boot of some virtual seconds, which takes 15 to 60 s on 2 cores.
SECONDS = 1800
_STAMP = re.compile(r"\[ *(\d{1,6}\.\d{6})\]")
_TIME = re.compile(r"@mmx \d+ \w+ .*?\bt=(\d{1,9}(?:\.\d{1,9})?)\b")
_SHOWN = 120


@dataclass(frozen=True)
class Parting:
    """Where two consoles part. ``line`` counts from 1; None: the console has ended there."""

    line: int
    expected: str | None
    found: str | None
    when: str | None  # the last virtual time on both consoles, in words


def compare(expected: bytes, found: bytes) -> Parting | None:
    """Where the consoles part; None when they are the same to the last byte."""
    if expected == found:
        return None
    lines, others = expected.split(b"\n"), found.split(b"\n")
    same = 0
    for ours, theirs in zip(lines, others, strict=False):
        if ours != theirs:
            break
        same += 1
    return Parting(same + 1, _at(lines, same), _at(others, same), _when(lines[:same]))


def _at(lines: list[bytes], number: int) -> str | None:
    if number >= len(lines):
        return None
    text = consoletext.clean(lines[number])
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _when(lines: list[bytes]) -> str | None:
    """The last time in a kernel's stamp or in one of the program's records."""
    for raw in reversed(lines):
        text = consoletext.clean(raw)
        if found := _TIME.search(text):
            return f"{found.group(1)} s after the program's start"
        if found := _STAMP.search(text):
            return f"{found.group(1)} s after the kernel's start"
    return None


def reasons(then: Identity, now: Identity, command_differs: bool) -> list[str]:
    """Why consoles may part: what differs between the capsule's machine and this one."""
    found = [f"this is another QEMU: {text}" for text in then.differences(now)]
    if command_differs:
        found.append("this lab makes another QEMU command line than the lab that made the capsule")
    return found or [
        "nothing is known to differ (the same QEMU, firmware and command line): "
        "something of the host reaches the guest, which is a fault of the lab"
    ]


def boot(
    capsule: Capsule,
    qemu: Qemu,
    console: Path,
    show: Callable[[Glance], None],
    stop: threading.Event,
) -> Ending:
    """Run the capsule with its console in a new file; LabError when QEMU itself fails."""
    again = capsule.boot(str(qemu.path))
    ending = machine.run_exactly(again, console, Deadline(SECONDS), show, stop)
    if ending.how == "lab_error":
        raise LabError(ending.detail)
    if ending.how == "interrupted":
        raise KeyboardInterrupt
    return ending


def command_differs(capsule: Capsule) -> bool:
    """Whether this lab's QEMU command line differs from the capsule's."""
    return capsules.command_of(capsule.boot("qemu")) != capsule.manifest.command


def describe(parting: Parting, why: list[str]) -> list[str]:
    """The difference as lines for a person."""

    def show(text: str | None) -> str:
        return "(the console has ended)" if text is None else text

    when = f", after {parting.when}" if parting.when else ""
    return [
        f"the consoles part in line {parting.line}{when}",
        f"  capsule  {show(parting.expected)}",
        f"  here     {show(parting.found)}",
        *(f"  {text}" for text in why),
    ]


def find_emulator() -> Qemu:
    """The QEMU that replays: the one for emulation on this machine."""
    return choice.choose("tcg")
