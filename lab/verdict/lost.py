# SPDX-License-Identifier: GPL-2.0-or-later
"""Records that were lost on the way, on a serial line that drops, doubles or damages bytes. Pure.

What is not on the console may have been said. A verdict that rests on its absence would be wrong:
such a trial is repeated.
"""

from __future__ import annotations

import re

from lab.console.records import MARK, Transcript

# Pieces of an end record, which is written three times: the program came to its end.
_OF_AN_END = re.compile(rb"\d end t=|status=(ok|stopped|error) |vacuous=|victim_checks=")


def find_lost(transcript: Transcript, console: bytes) -> str | None:
    """Which record was written and lost, in words; None where no sign of one is."""
    if not transcript.records:
        return f"all {transcript.damaged} records are damaged" if transcript.damaged else None
    if transcript.last("start") is None and transcript.records[0].seq != 0:
        return "the start record is lost"
    if transcript.last("end") is None:
        return "the end record is lost" if _OF_AN_END.search(_after_last(console)) else None
    env = transcript.last("env")
    if env is None:
        return "the env record is lost"
    counts = env.fields.get("control", "none") != "none"
    if counts and transcript.missing and transcript.last("allocations") is None:
        return "the record of allocations may be lost"
    return None


def _after_last(console: bytes) -> bytes:
    """From the last mark but three on: an end record is written three times."""
    at = len(console)
    for _ in range(3):
        found = console.rfind(MARK, 0, at)
        at = found if found >= 0 else at
    return console[at:]
