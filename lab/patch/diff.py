"""A diff found in text, mended where a mailer broke it and the hunk's own counts say how: pure.

A hunk header promises how many old and new lines follow. That decides: a line that is no diff
line continues the one before it if that one is as long as mailers wrap at; a reading that gives
exactly the promised lines is taken, and said in the notes; two such readings are a refusal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations

from lab.errors import UserError
from lab.patch.hunk import Body, Hunk, joined, short, wrapped

_HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")
_EXTENDED = (
    "index ", "old mode ", "new mode ", "new file mode ", "deleted file mode ", "rename from ",
    "rename to ", "copy from ", "copy to ", "similarity index ", "dissimilarity index ",
)  # fmt: skip
_CONTEXT = 3  # lines that diff gives by default
_MAX_JOINS = 2  # lines broken so that the rest looks like a diff line, in one hunk


@dataclass(frozen=True)
class FileChange:
    """Paths as the diff writes them (a/ and b/ and all); None is /dev/null."""

    old: str | None
    new: str | None
    hunks: tuple[Hunk, ...]
    headers: tuple[str, ...] = ()  # git's extended ones

    @property
    def name(self) -> str:
        return self.new or self.old or "?"


def has_diff(text: str) -> bool:
    """Whether a diff begins anywhere in the text."""
    lines = text.split("\n")
    return any(_begins(lines, at) or _HEADER.match(lines[at]) for at in range(len(lines)))


def parse(text: str, where: str) -> tuple[list[FileChange], list[str]]:
    """Every file's change in the text, and what was mended; UserError where it cannot be read."""
    reader = _Reader(text, where)
    return reader.files(), reader.notes


def _begins(lines: list[str], at: int) -> bool:
    line = lines[at]
    if line.startswith("diff --git "):
        return True
    following = lines[at + 1] if at + 1 < len(lines) else ""
    return line.startswith("--- ") and following.startswith("+++ ")


def _path(text: str) -> str | None:
    """The path of a ---/+++ line without its time stamp."""
    found = re.split(r"\t|\s+\d{4}-\d\d-\d\d |\s+(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ", text)[0].strip()
    return None if found == "/dev/null" else found


def _shown(path: str) -> str:
    return path.removeprefix("a/").removeprefix("b/")


class _Reader:
    def __init__(self, text: str, where: str) -> None:
        lines = text.split("\n")
        if all(line.endswith("\r") for line in lines[:-1]):
            lines = [line.removesuffix("\r") for line in lines]
        self.lines = lines[:-1] if lines[-1] == "" else lines
        self.where = where
        self.at = 0
        self.notes: list[str] = []

    def files(self) -> list[FileChange]:
        found = []
        while self.at < len(self.lines):
            if _begins(self.lines, self.at):
                found.append(self._file())
            elif self.lines[self.at].startswith("@@ -"):
                raise UserError(f"{self._here()}: a hunk stands there without a file's name above")
            else:
                self.at += 1
        return found

    def _here(self) -> str:
        return f"{self.where}, line {self.at + 1}"

    def _line(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.lines[at] if at < len(self.lines) else ""

    def _file(self) -> FileChange:
        old = new = None
        headers: list[str] = []
        if self._line().startswith("diff --git "):
            old, new = self._git_names()
            self.at += 1
            while self._line().startswith(_EXTENDED):
                headers.append(self._line())
                self.at += 1
            if self._line().startswith(("GIT binary patch", "Binary files ")):
                raise UserError(f"{self._here()}: the change of {new} is binary: give a text diff")
        if self._line().startswith("--- ") and self._line(1).startswith("+++ "):
            old, new = _path(self._line()[4:]), _path(self._line(1)[4:])
            self.at += 2
        for name in (old, new):
            if name is not None and (name.startswith("/") or ".." in name.split("/")):
                raise UserError(f"{self._here()}: the path {name!r} leads out of the tree")
        hunks: list[Hunk] = []
        name = _shown(new or old or "?")
        while self._line().startswith("@@ -"):
            hunks.append(self._hunk(len(hunks) + 1, name))
        if not hunks and not headers:
            raise UserError(f"{self._here()}: no hunk follows the name of {new or old}")
        return FileChange(old, new, tuple(hunks), tuple(headers))

    def _git_names(self) -> tuple[str, str]:
        line = self._line()
        found = re.fullmatch(r"diff --git (\S+) (\S+)\s*", line)
        if not found and self.at + 1 < len(self.lines):
            found = re.fullmatch(r"diff --git (\S+) (\S+)", f"{line.rstrip()} {self._line(1)}")
            if found:
                self.at += 1
                self.notes.append("a 'diff --git' line was broken over two lines: joined")
        if not found:
            raise UserError(f"{self._here()}: {short(line)} does not name two files")
        return found.group(1), found.group(2)

    def _hunk(self, number: int, name: str) -> Hunk:
        what = f"hunk {number} of {name}"
        found = _HEADER.fullmatch(self._line())
        if not found:
            found = _HEADER.fullmatch(f"{self._line().rstrip()} {self._line(1)}")
            if not found:
                raise UserError(f"{self._here()}: {short(self._line())} is no hunk header")
            self.notes.append(f"{what}: its header was broken over two lines: joined")
            self.at += 1
        header, first = self.lines[self.at], self.at + 1
        numbers = [int(n) if n is not None else 1 for n in found.groups()[:4]]
        heading = found.group(5).strip()
        body, end = self._body(numbers[1], numbers[3], first, what, header)
        if body is None:
            heading = joined(heading, self.lines[first]).strip()
            self.notes.append(
                f"{what}: its header was broken over two lines, {short(self.lines[first])} "
                "put back behind it"
            )
            body, end = self._body(numbers[1], numbers[3], first + 1, what, None)
            assert body is not None
        self._say(what, body)
        self.at = end
        return Hunk(numbers[0], heading, tuple(body.lines), body.old, body.tail)

    def _say(self, what: str, body: Body) -> None:
        for line in body.joined:
            self.notes.append(f"{what}: a line was broken, {short(line)} put back behind it")
        if body.blanks:
            self.notes.append(f"{what}: {body.blanks} empty lines had lost their leading space")
        if body.no_breaks:
            self.notes.append(f"{what}: no-break spaces in {body.no_breaks} lines were made spaces")
        if body.old:
            self.notes.append(f"{what}: its last {body.old} context lines are missing")

    def _body(
        self, old: int, new: int, first: int, what: str, header: str | None
    ) -> tuple[Body | None, int]:
        """The hunk's lines and where they end; None when its header goes on in line ``first``."""
        body, end, problem = self._read(old, new, first, ())
        if problem is None:
            return body, end
        follows = self.lines[first] if first < len(self.lines) else ""
        if header is not None and follows and wrapped(header, follows):
            _, _, after = self._read(old, new, first + 1, ())
            if after is None or follows[0] not in " +-":
                return None, first
        found = self._other_readings(old, new, first)
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            raise UserError(
                f"{self.where}, line {first}: {what} is broken by line wrap in a way that can be "
                f"read in {len(found)} ways: get the patch as an attachment"
            )
        raise UserError(f"{self.where}, line {first}: {what} {problem}")

    def _other_readings(self, old: int, new: int, first: int) -> list[tuple[Body, int]]:
        """Readings in which lines that look like diff lines are the rest of broken ones."""
        last = min(first + 2 * (old + new) + 4, len(self.lines))
        candidates = [
            at
            for at in range(first + 1, last)
            if self.lines[at][:1] in ("+", "-", " ") and wrapped(self.lines[at - 1], self.lines[at])
        ]
        found: list[tuple[Body, int]] = []
        for many in range(1, _MAX_JOINS + 1):
            for chosen in combinations(candidates, many):
                body, end, problem = self._read(old, new, first, chosen)
                if problem is None and not body.old:
                    found.append((body, end))
            if found:
                break
        return found

    def _read(
        self, old: int, new: int, first: int, joins: tuple[int, ...]
    ) -> tuple[Body, int, str | None]:
        """One reading, and why it does not give what the header promises (None: it does)."""
        body, at = Body(old, new), first
        while at < len(self.lines) and not body.complete:
            line = self.lines[at]
            if self._boundary(at):
                break
            if line.startswith("\\"):
                body.no_newline()
            elif at in joins and body.lines:
                body.join(line)
            elif not body.take(line):
                if not body.lines or line[:1] in " +-" or not wrapped(self.lines[at - 1], line):
                    break
                body.join(line)
            at += 1
        if not body.complete:
            return body, at, self._short_of(body, at, old, new)
        while at < len(self.lines) and self._rest_of(body, at):  # its last line was broken
            body.join(self.lines[at])
            at += 1
        if at < len(self.lines) and self.lines[at].startswith("\\"):
            body.no_newline()
            at += 1
        return body, at, self._leftover(at, old, new)

    def _rest_of(self, body: Body, at: int) -> bool:
        line = self.lines[at]
        if not line or line[0] in " +-\\" or self._boundary(at) or not body.lines:
            return False
        return wrapped(self.lines[at - 1], line) and not re.match(
            r"(?i)index: |only in |=====", line
        )

    def _boundary(self, at: int) -> bool:
        line = self.lines[at]
        return (
            line.startswith(("@@ -", "diff --git ", "Index: ")) or line in ("-- ", "--")
            or _begins(self.lines, at)
        )  # fmt: skip

    def _short_of(self, body: Body, at: int, old: int, new: int) -> str | None:
        """Missing context at the very end is no matter: it says nothing about the change."""
        at -= body.tail
        body.drop_tail()
        ended = at >= len(self.lines) or self._boundary(at) or not self.lines[at].strip()
        context = len(body.lines) - max(
            (n for n, line in enumerate(body.lines, 1) if line[0] in "+-"), default=0
        )
        if ended and body.old == body.new and 0 < context + body.old <= _CONTEXT:
            return None
        found = f"{old - body.old} old and {new - body.new} new ones"
        there = "the end" if at >= len(self.lines) else f"{short(self.lines[at])} (line {at + 1})"
        return f"should have {old} old and {new} new lines; {found} are there before {there}"

    def _leftover(self, at: int, old: int, new: int) -> str | None:
        line = self.lines[at] if at < len(self.lines) else ""
        if line[:1] in ("+", "-", " ") and line.strip() and not self._boundary(at):
            return f"goes on after its {old} old and {new} new lines with {short(line)}"
        return None
