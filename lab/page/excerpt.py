# SPDX-License-Identifier: GPL-2.0-or-later
"""The parts of a console that a page shows: its beginning, its first corruption, its end.

A console may hold anything and be 64 MiB long. A page never holds more than ``MOST`` bytes of it.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lab.console import records
from lab.console.visible import decode

_END, _AROUND = 6000, 3000  # bytes of the beginning and of the end; on each side of a corruption
MOST = 2 * _END + 2 * _AROUND
_WIDEST = 400  # characters of a line
_CORRUPT = re.compile(rb"@mmx \d{1,9} corrupt ")


@dataclass(frozen=True)
class Line:
    """``kind``: ``record`` for one of the stress program's, ``corrupt`` for a failed check."""

    number: int
    text: str
    kind: str = ""


@dataclass(frozen=True)
class Part:
    """A stretch of the console; ``skipped``: bytes that are left out before it."""

    lines: tuple[Line, ...]
    skipped: int = 0


@dataclass(frozen=True)
class Excerpt:
    """All parts, in order. ``size``: bytes of the whole; ``after``: left out after the last."""

    parts: tuple[Part, ...]
    size: int


def read(path: Path) -> Excerpt:
    """Of a console's file; empty where there is no file."""
    if not path.is_file() or not path.stat().st_size:
        return Excerpt((), 0)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as console:
        size = len(console)
        found = _CORRUPT.search(console)
        parts, end, number = [], 0, 1
        for begin, until in choose(size, found.start() if found else None):
            number += _count_lines(console, end, begin)
            parts.append(Part(_read_lines(console[begin:until], number), begin - end))
            number += _count_lines(console, begin, until)
            end = until
        return Excerpt(tuple(parts), size)


def choose(size: int, corruption: int | None) -> list[tuple[int, int]]:
    """The stretches to show, as offsets; those that touch are one. Pure."""
    if size <= MOST:
        return [(0, size)]
    wanted = [(0, _END), (size - _END, size)]
    if corruption is not None:
        wanted.insert(1, (max(0, corruption - _AROUND), min(size, corruption + _AROUND)))
    return _join(sorted(wanted))


def _join(stretches: list[tuple[int, int]]) -> list[tuple[int, int]]:
    made = stretches[:1]
    for begin, end in stretches[1:]:
        if begin <= made[-1][1]:
            made[-1] = (made[-1][0], max(end, made[-1][1]))
        else:
            made.append((begin, end))
    return made


def _count_lines(console: mmap.mmap, begin: int, end: int) -> int:
    steps = [*range(begin, end, 1 << 20), end]
    return sum(console[here:there].count(b"\n") for here, there in pairwise(steps))


def _read_lines(raw: bytes, number: int) -> tuple[Line, ...]:
    """Without the empty ones; records come with one before each."""
    made = []
    for offset, line in enumerate(raw.split(b"\n")):
        line = line.rstrip(b"\r")
        if line.strip():
            made.append(Line(number + offset, _shorten(decode(line)), _find_kind(line)))
    return tuple(made)


def _find_kind(line: bytes) -> str:
    found = records.parse(line).records
    if not found:
        return ""
    return "corrupt" if any(record.type == "corrupt" for record in found) else "record"


def _shorten(text: str) -> str:
    if len(text) <= _WIDEST:
        return text
    return f"{text[:_WIDEST]} ... and {len(text) - _WIDEST:,} more characters"
