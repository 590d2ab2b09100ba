# SPDX-License-Identifier: GPL-2.0-or-later
"""Text that a board prints to its console and that is known to the last byte: what became of it.

repro/counter.c prints it; ``compare`` counts every byte that did not arrive as it was sent. Pure.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

_DIGITS = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/"
_RANDOM = 54  # characters of a line that follow from its number
LINE = 8 + _RANDOM + 2  # bytes, with carriage return and newline
_BEGIN = re.compile(rb"@mmx 0 start [^\n]*\n")
_END = re.compile(rb"\r?\n@mmx 1 text ")
_SURE = 16  # equal bytes after which both are taken to be at the same place
_NEAR = 64  # bytes that are looked at for a place to go on, before whole stretches are
_BLOCK = 4096
_MOST_CELLS = 1 << 20  # of a table of distances


@dataclass(frozen=True)
class Tally:
    """How many bytes were sent, and what became of those that did not arrive as they were.

    ``lost`` never came, ``damaged`` came as another byte, ``doubled`` came twice, ``added`` are
    bytes that nobody sent.
    """

    sent: int
    lost: int = 0
    damaged: int = 0
    doubled: int = 0
    added: int = 0

    @property
    def whole(self) -> bool:
        return not (self.lost or self.damaged or self.doubled or self.added)

    def __str__(self) -> str:
        if self.whole:
            return f"{self.sent:,} bytes, none lost, damaged or doubled"
        kinds = ("lost", "damaged", "doubled", "added")
        wrong = ", ".join(f"{n:,} {kind}" for kind in kinds if (n := getattr(self, kind)))
        return f"of {self.sent:,} bytes {wrong}"


def make_line(number: int) -> bytes:
    """A line as repro/counter.c prints it, and the terminal its carriage return."""
    state = (number + 1) * 2654435761 & 0xFFFFFFFF
    line = bytearray(b"%08x" % number)
    for _ in range(_RANDOM):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        line.append(_DIGITS[state >> 16 & 63])
    return bytes(line) + b"\r\n"


def make_text(lines: int) -> bytes:
    """All of it."""
    return b"".join(make_line(number) for number in range(lines))


def find_text(console: bytes) -> bytes | None:
    """What of a console lies between the records around the text; None without the first one."""
    begin = _BEGIN.search(console)
    if begin is None:
        return None
    end = _END.search(console, begin.end())
    return console[begin.end() : end.start() if end else len(console)]


def compare(sent: bytes, came: bytes) -> Tally:
    """What became of ``sent``: the fewest changes that make ``came`` of it."""
    lost = damaged = doubled = added = 0
    at = to = 0
    while True:
        same = _count_equal(sent, at, came, to)
        at, to = at + same, to + same
        if at == len(sent) and to == len(came):
            return Tally(len(sent), lost, damaged, doubled, added)
        skip, skip_came = _find_place(sent, at, came, to)
        steps = _align(sent[at : at + skip], came[to : to + skip_came])
        lost += steps.count("lost")
        damaged += steps.count("damaged")
        for place, length in _runs_of_new(steps):
            if length == 1 and to + place and came[to + place] == came[to + place - 1]:
                doubled += 1
            else:
                added += length
        at, to = at + skip, to + skip_came


def _count_equal(a: bytes, at: int, b: bytes, to: int) -> int:
    """How many bytes are equal from both places on."""
    most, done = min(len(a) - at, len(b) - to), 0
    while done < most:
        size = min(_BLOCK, most - done)
        if a[at + done : at + done + size] != b[to + done : to + done + size]:
            break
        done += size
    while done < most and a[at + done] == b[to + done]:
        done += 1
    return done


def _find_place(a: bytes, at: int, b: bytes, to: int) -> tuple[int, int]:
    """How much to pass over in both, so that they are equal again after it; all, if never."""
    left, left_b = len(a) - at, len(b) - to
    for most in range(1, _NEAR + 1):
        pairs = [(most, most), *((most, n) for n in range(most)), *((n, most) for n in range(most))]
        for skip, skip_b in pairs:
            if skip <= left and skip_b <= left_b and _goes_on(a, at + skip, b, to + skip_b):
                return skip, skip_b
    for near in range(_NEAR):
        key, key_a = b[to + near : to + near + _SURE], a[at + near : at + near + _SURE]
        found = a.find(key, at) if len(key) == _SURE else -1
        if found >= 0:
            return found - at, near
        found = b.find(key_a, to) if len(key_a) == _SURE else -1
        if found >= 0:
            return near, found - to
    return left, left_b


def _goes_on(a: bytes, at: int, b: bytes, to: int) -> bool:
    """Near the end it is enough that both end alike."""
    return a[at : at + _SURE] == b[to : to + _SURE]


def _align(a: bytes, b: bytes) -> list[str]:
    """The fewest steps from ``a`` to ``b``, in order: same, lost, damaged, new."""
    shorter = min(len(a), len(b))
    if not shorter or len(a) * len(b) > _MOST_CELLS:
        return ["damaged"] * shorter + ["lost"] * (len(a) - shorter) + ["new"] * (len(b) - shorter)
    table = [list(range(len(b) + 1))]
    for row, byte in enumerate(a, 1):
        above, line = table[-1], [row]
        for column, other in enumerate(b, 1):
            straight = above[column - 1] + (byte != other)
            line.append(min(straight, above[column] + 1, line[-1] + 1))
        table.append(line)
    return _walk_back(a, b, table)


def _walk_back(a: bytes, b: bytes, table: list[list[int]]) -> list[str]:
    steps: list[str] = []
    row, column = len(a), len(b)
    while row or column:
        here = table[row][column]
        differs = bool(row and column and a[row - 1] != b[column - 1])
        if row and column and table[row - 1][column - 1] + differs == here:
            steps.append("damaged" if differs else "same")
            row, column = row - 1, column - 1
        elif column and table[row][column - 1] + 1 == here:
            steps.append("new")
            column -= 1
        else:
            steps.append("lost")
            row -= 1
    return steps[::-1]


def _runs_of_new(steps: list[str]) -> list[tuple[int, int]]:
    """Where in what came new bytes are, and how many on end."""
    runs: list[tuple[int, int]] = []
    place = 0
    for step, group in itertools.groupby(steps):
        length = len(list(group))
        if step == "new":
            runs.append((place, length))
        place += length * (step != "lost")
    return runs
