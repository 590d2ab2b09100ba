# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of a check, each said in a line as soon as it is known."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.board.health import Part
from lab.errors import LabError

NAMES = (
    "power", "console", "power again", "boot once", "own system", "clock", "Xen", "native", "dom0",
)  # fmt: skip


class Parts:
    """``say`` gets a line for each part."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.done: list[Part] = []

    def run(self, name: str, do: Callable[[], str]) -> bool:
        """Whether it passed; ``do`` says what it saw, or raises LabError with what is wrong."""
        began = time.monotonic()
        try:
            said, passed = do(), True
        except LabError as error:
            said, passed = str(error), False
        self._add(Part(name, "ok" if passed else "failed", said, time.monotonic() - began))
        return passed

    def fail(self, name: str, why: str) -> None:
        self._add(Part(name, "failed", why))

    def skip(self, why: str, *names: str) -> None:
        """``why``: a few words, such as "no ssh:"; without ``names``, all that are not done."""
        done = {part.name for part in self.done}
        for name in names or [name for name in NAMES if name not in done]:
            self._add(Part(name, "not checked", why))

    def _add(self, part: Part) -> None:
        part = Part(part.name, part.state, part.said, round(part.seconds, 1))
        self.done.append(part)
        self._say(write_line(part))


def write_line(part: Part) -> str:
    """A part in a line."""
    if part.state == "not checked":
        return f"{part.name:<12} not checked: {part.said}"
    state = "ok" if part.state == "ok" else "FAILED"
    return f"{part.name:<12} {state:<6} {part.seconds:6.1f} s  {part.said}"
