# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose words a console holds: this boot's, another boot's, or a board's own system's. Pure.

A board that does not boot what it is given comes back with what is on its disk. Only a console
that shows this boot's nonce counts, on the command line that the kernel or Xen prints, or in the
program's first record.
"""

from __future__ import annotations

import re

from lab.config.kinds import ON_XEN
from lab.console import text as consoletext
from lab.console.records import Transcript, parse
from lab.verdict.facts import TrialFacts

_START = re.compile(rb"@mmx 0 start ")
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


def cut_own(nonce: str, console: bytes) -> tuple[bytes, bytes]:
    """What is before this boot's first sign on a console, and this boot's own part: from the
    first line with its nonce to the start record of another boot. Where the nonce is not on it,
    all of it is taken for this boot's.

    A terminal server keeps what a board said before, and a board that was reset boots something
    else: what another boot said is not this one's.
    """
    at = console.find(f"={nonce}".encode())
    if at < 0:
        return b"", console
    begin = console.rfind(b"\n", 0, at) + 1
    own = False
    for match in _START.finditer(console, begin):
        start = parse(console[match.start() : match.start() + 1024]).last("start")
        if start is None or start.at != 0:
            continue
        if start.fields.get("run") == nonce:
            own = True
        elif own:
            return console[:begin], console[begin : match.start()]
    return console[:begin], console[begin:]


def find_mixture(nonce: str, transcript: Transcript) -> str | None:
    """Why the records are not all of one boot, and of this one, in words; None where they are."""
    for record in transcript.records:
        # Older programs' records carry it in ``start`` only.
        if record.fields.get("run", nonce) != nonce:
            return f"the console's {record.type} record belongs to another trial"
    if transcript.mixed:
        twice = transcript.mixed[0]
        return f"records of two boots are on the console: number {twice} is there twice"
    return None
