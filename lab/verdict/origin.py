# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose words a board's console holds: this boot's, or its own system's. Pure.

A board that does not boot what it is given comes back with what is on its disk. Only a console
that shows this boot's nonce counts, on the command line that the kernel or Xen prints, or in the
program's first record.
"""

from __future__ import annotations

import re

from lab.config.kinds import ON_XEN
from lab.console import text as consoletext
from lab.verdict.facts import TrialFacts

_A_SYSTEM = re.compile(rb"login:|Linux version |systemd\[1\]|GRUB|Welcome to ")


def find_foreign(facts: TrialFacts, console: bytes) -> str | None:
    """Why a board's console is not this boot's, in words; None where it is, and off boards.

    A guest's console is its own: the board's words are not in it.
    """
    if not facts.board or facts.guest in ON_XEN or f"={facts.nonce}".encode() in console:
        return None
    if _A_SYSTEM.search(console):
        return f"the board {facts.board} came back with its own system"
    said = consoletext.tail(console, 1)
    if said:
        return f"the board {facts.board} did not boot what it was given; it last said: {said}"
    return f"the board {facts.board} said nothing at all"
