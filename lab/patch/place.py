# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a hunk fits into a file, and in one sentence why it does not: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lab.patch.hunk import Hunk

_TURNED = {"+": "-", "-": "+", " ": " "}
_MAX_FUZZ = 3  # what an error message tries, to say what would help
Lines = list[str]


@dataclass(frozen=True)
class Mode:
    """How a line of the tree and one of the patch are compared."""

    same: Callable[[str], str]  # of the tree's line
    patch: Callable[[str], str]  # of the patch's line
    added: Callable[[str], str]  # an added line as it should stand in the tree
    says: str = ""


def _keep(line: str) -> str:
    return line


def _column(line: str) -> str:
    """Tabs expanded as a terminal shows a diff: the mark takes a column."""
    return ("x" + line).expandtabs(8)[1:]


def _squeeze(line: str) -> str:
    return " ".join(line.split())


def _retab(mark: int) -> Callable[[str], str]:
    def retab(line: str) -> str:
        text = line.lstrip(" ")
        columns = len(line) - len(text) + mark
        return (
            "\t" * (columns // 8) + " " * (columns % 8 if columns >= 8 else columns - mark) + text
        )

    return retab


_TABS = (
    "its tabs had become spaces; they are as in the tree again, and at the start of added lines "
    "(tabs further inside added lines cannot be distinguished from spaces)"
)
EXACT = Mode(_keep, _keep, _keep)
COLUMN = Mode(_column, _keep, _retab(1), _TABS)
EXPANDED = Mode(lambda line: line.expandtabs(8), _keep, _retab(0), _TABS)
LOOSE = Mode(_squeeze, _squeeze, _retab(0), "white space was not compared, as asked")


@dataclass(frozen=True)
class Place:
    """Where a hunk fits: line index in the file, and how much had to be overlooked."""

    at: int
    mode: Mode
    top: int = 0  # context lines not compared
    bottom: int = 0


def count_context(hunk: Hunk) -> tuple[int, int]:
    """Context lines at its beginning and at its end."""
    marks = [line[0] for line in hunk.lines]
    changes = [n for n, mark in enumerate(marks) if mark != " "]
    if not changes:
        return 0, 0
    return changes[0], len(marks) - changes[-1] - 1


def find_places(
    content: Lines, hunk: Hunk, wanted: int, first: int, modes: Sequence[Mode], fuzz: range
) -> Iterator[Place]:
    """Where the hunk fits, the least overlooked first, then the nearest."""
    top, bottom = count_context(hunk)
    old = hunk.old
    for level in fuzz:
        skip_top, skip_bottom = min(level, top), min(level, bottom)
        if level and skip_top < level and skip_bottom < level:
            return  # nothing more to overlook
        for mode in modes:
            tree = [mode.same(line) for line in content]
            patch = [mode.patch(line) for line in old[skip_top : len(old) - skip_bottom]]
            if not patch and content:
                continue  # nothing left to find it by
            for at in _near(wanted, first, len(content) - len(old)):
                if tree[at + skip_top : at + skip_top + len(patch)] == patch:
                    yield Place(at, mode, skip_top, skip_bottom)


def _near(wanted: int, first: int, last: int) -> Iterator[int]:
    """Line indexes by their distance from the wanted one."""
    return iter(sorted(range(first, last + 1), key=lambda at: abs(at - wanted)))


def apply_hunk(content: Lines, hunk: Hunk, place: Place) -> tuple[Lines, int]:
    """The lines that the hunk makes, its context being the tree's, and how many go for them."""
    made: Lines = []
    at = place.at
    for line in hunk.lines:
        if line[0] == "+":
            made.append(place.mode.added(line[1:]))
            continue
        if line[0] == " ":
            made.append(content[at])
        at += 1
    return made, at - place.at


def explain(
    content: Lines, hunk: Hunk, wanted: int, first: int, modes: list[Mode], what: str
) -> str:
    """Which line is not as the hunk says, and what would help; one sentence."""
    if not hunk.old and content:
        return f"{what} has no context to find its place by (diff -U0): make the diff with context"
    turned = [_TURNED[line[0]] + line[1:] for line in hunk.lines]
    reverse = Hunk(hunk.old_start, hunk.heading, tuple(turned))
    there = next(find_places(content, reverse, wanted, 0, modes, range(1)), None)
    if there is not None:
        return f"{what} is in the tree already (line {there.at + 1})"
    at, mode = _find_best(content, hunk, wanted, first, modes)
    text = f"{what} does not apply: {_describe_difference(content, hunk, at, mode)}"
    if next(find_places(content, hunk, wanted, first, [LOOSE], range(1)), None) is not None:
        return f"{text}; --ignore-whitespace would overlook that"
    fuzzy = next(find_places(content, hunk, wanted, first, modes, range(1, _MAX_FUZZ + 1)), None)
    if fuzzy is not None:
        return f"{text}; --fuzz {max(fuzzy.top, fuzzy.bottom)} would overlook that"
    return text


def _find_best(
    content: Lines, hunk: Hunk, wanted: int, first: int, modes: list[Mode]
) -> tuple[int, Mode]:
    """Where most lines of the hunk are as it says, the nearest of them."""
    best: tuple[int, int, int] | None = None
    chosen = modes[0]
    for mode in modes:
        tree = [mode.same(line) for line in content]
        old = [mode.patch(line) for line in hunk.old]
        for at in range(first, max(len(content) - 1, first) + 1):
            same = sum(a == b and bool(a.strip()) for a, b in zip(tree[at:], old, strict=False))
            score = (same, -abs(at - wanted), at)
            if best is None or score[:2] > best[:2]:
                best, chosen = score, mode
    assert best is not None
    return (best[2] if best[0] else wanted), chosen


def _describe_difference(content: Lines, hunk: Hunk, at: int, mode: Mode) -> str:
    for ahead, line in enumerate(hunk.old):
        there = content[at + ahead] if at + ahead < len(content) else None
        if there is None:
            return f"it wants {line.strip()!r} in line {at + ahead + 1}, where the file has ended"
        if there.strip() == line.strip() and mode.same(there) != mode.patch(line):
            return f"{there.strip()!r}, line {at + ahead + 1} of the tree, has other white space"
        if mode.same(there) != mode.patch(line):
            return (
                f"it wants {line.strip()!r}, line {at + ahead + 1} of the tree is {there.strip()!r}"
            )
    return "its lines stand where an earlier hunk has been"
