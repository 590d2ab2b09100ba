# SPDX-License-Identifier: GPL-2.0-or-later
"""A hunk's lines, read against the counts that its header promises: pure.

A line that is not a diff line continues the one before it if that one is as long as mailers wrap
at. Where this does not give the promised lines, others are tried as the rest of a broken one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from lab.patch.hunk import is_wrapped, join_line, quote

_CONTEXT = 3  # lines that diff gives by default
_MAX_JOINS = 2  # lines broken so that the rest looks like a diff line, in one hunk
_NBSP = "\N{NO-BREAK SPACE}"
# Indentation with one in it: a mail program's or a web page's doing.
_INDENT = re.compile(rf"[+\- ]?[ \t{_NBSP}]*{_NBSP}[ \t{_NBSP}]*")


@dataclass
class Body:
    """A hunk's lines being read against the counts that its header promises."""

    old: int
    new: int
    lines: list[str] = field(default_factory=list)
    blanks: int = 0  # context lines that had lost their space
    tail: int = 0  # ... of them at the end
    no_breaks: int = 0  # lines with no-break spaces
    joined: list[str] = field(default_factory=list)  # what was put back behind its line

    @property
    def complete(self) -> bool:
        return self.old == 0 and self.new == 0

    def take(self, line: str) -> bool:
        """Whether the line can be the next one by its first character and the counts."""
        indent = _INDENT.match(line)
        if indent:
            line = indent.group().replace(_NBSP, " ") + line[indent.end() :]
        kind = line[:1] or " "
        old, new = kind in " -", kind in " +"
        if kind not in " +-" or (old and not self.old) or (new and not self.new):
            return False
        self.no_breaks += indent is not None
        self.tail = 0 if line else self.tail + 1
        self.blanks += not line
        self.old -= old
        self.new -= new
        self.lines.append((line or " ") + "\n")
        return True

    def drop_tail(self) -> None:
        """Empty lines before a signature or the prose below were not the file's own."""
        del self.lines[len(self.lines) - self.tail :]
        self.old, self.new = self.old + self.tail, self.new + self.tail
        self.blanks, self.tail = self.blanks - self.tail, 0

    def join(self, line: str) -> None:
        self.lines[-1] = join_line(self.lines[-1], line)
        self.joined.append(line)
        self.tail = 0

    def no_newline(self) -> None:
        """The line before was the file's last, without a newline."""
        if self.lines:
            self.lines[-1] = self.lines[-1].rstrip("\n")


@dataclass(frozen=True)
class Reading:
    """``end`` is the line after it; ``problem`` why it is not what the header promises."""

    body: Body
    end: int
    problem: str | None


@dataclass(frozen=True)
class HunkReader:
    """Reads the lines of a text as a hunk of ``old`` and ``new`` ones."""

    lines: Sequence[str]
    old: int
    new: int

    def read(self, first: int, joins: tuple[int, ...] = ()) -> Reading:
        """From line ``first`` on. ``joins``: lines that are the rest of the one before them."""
        body, at = Body(self.old, self.new), first
        while at < len(self.lines) and not body.complete:
            if not self._add(body, at, joins):
                break
            at += 1
        if not body.complete:
            return Reading(body, at, self._short_of(body, at))
        while at < len(self.lines) and self._rest_of(body, at):  # its last line was broken
            body.join(self.lines[at])
            at += 1
        if at < len(self.lines) and self.lines[at].startswith("\\"):
            body.no_newline()
            at += 1
        return Reading(body, at, self._leftover(at))

    def read_otherwise(self, first: int) -> list[Reading]:
        """Readings in which lines that look like diff lines are the rest of broken ones."""
        last = min(first + 2 * (self.old + self.new) + 4, len(self.lines))
        candidates = [
            at
            for at in range(first + 1, last)
            if self.lines[at][:1] in ("+", "-", " ")
            and is_wrapped(self.lines[at - 1], self.lines[at])
        ]
        for many in range(1, _MAX_JOINS + 1):
            tried = [self.read(first, joins) for joins in combinations(candidates, many)]
            found = [one for one in tried if one.problem is None and not one.body.old]
            if found:
                return found
        return []

    def _add(self, body: Body, at: int, joins: tuple[int, ...]) -> bool:
        """Take the line into the body; False where the body ends before it."""
        line = self.lines[at]
        if is_boundary(self.lines, at):
            return False
        if line.startswith("\\"):
            body.no_newline()
        elif at in joins and body.lines:
            body.join(line)
        elif not body.take(line):
            if not body.lines or line[:1] in " +-" or not is_wrapped(self.lines[at - 1], line):
                return False
            body.join(line)
        return True

    def _rest_of(self, body: Body, at: int) -> bool:
        line = self.lines[at]
        if not line or line[0] in " +-\\" or is_boundary(self.lines, at) or not body.lines:
            return False
        return is_wrapped(self.lines[at - 1], line) and not re.match(
            r"(?i)index: |only in |=====", line
        )

    def _short_of(self, body: Body, at: int) -> str | None:
        """Missing context at the very end does not matter: it says nothing about the change."""
        at -= body.tail
        body.drop_tail()
        end = at >= len(self.lines) or is_boundary(self.lines, at) or not self.lines[at].strip()
        context = len(body.lines) - max(
            (n for n, line in enumerate(body.lines, 1) if line[0] in "+-"), default=0
        )
        if end and body.old == body.new and 0 < context + body.old <= _CONTEXT:
            return None
        found = f"{self.old - body.old} old and {self.new - body.new} new ones"
        there = "the end" if at >= len(self.lines) else f"{quote(self.lines[at])} (line {at + 1})"
        return (
            f"should have {self.old} old and {self.new} new lines; {found} are there before {there}"
        )

    def _leftover(self, at: int) -> str | None:
        line = self.lines[at] if at < len(self.lines) else ""
        if line[:1] in ("+", "-", " ") and line.strip() and not is_boundary(self.lines, at):
            return f"goes on after its {self.old} old and {self.new} new lines with {quote(line)}"
        return None


def begins_file(lines: Sequence[str], at: int) -> bool:
    """Whether a file's change begins in the line."""
    line = lines[at]
    if line.startswith("diff --git "):
        return True
    following = lines[at + 1] if at + 1 < len(lines) else ""
    return line.startswith("--- ") and following.startswith("+++ ")


def is_boundary(lines: Sequence[str], at: int) -> bool:
    """Whether no hunk can go on with the line."""
    line = lines[at]
    return (
        line.startswith(("@@ -", "diff --git ", "Index: ")) or line in ("-- ", "--")
        or begins_file(lines, at)
    )  # fmt: skip
