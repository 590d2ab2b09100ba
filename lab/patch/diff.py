# SPDX-License-Identifier: GPL-2.0-or-later
"""A diff found in text, mended where a mailer broke it and the hunk's own counts say how: pure.

A hunk header promises how many old and new lines follow, and that decides: the reading that gives
exactly the promised lines is taken and mentioned in the notes; where there are two, the patch is
refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.errors import UserError
from lab.patch.hunk import Hunk, is_wrapped, join_line, quote
from lab.patch.reading import Body, HunkReader, Reading, begins_file

_HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")
_EXTENDED = (
    "index ", "old mode ", "new mode ", "new file mode ", "deleted file mode ", "rename from ",
    "rename to ", "copy from ", "copy to ", "similarity index ", "dissimilarity index ",
)  # fmt: skip


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
    return any(begins_file(lines, at) or _HEADER.match(lines[at]) for at in range(len(lines)))


def parse(text: str, where: str) -> tuple[list[FileChange], list[str]]:
    """Every file's change in the text, and what was mended; UserError where it cannot be read."""
    reader = _Reader(text, where)
    return reader.files(), reader.notes


def _read_path(text: str) -> str | None:
    """The path of a ---/+++ line without its time stamp."""
    found = re.split(r"\t|\s+\d{4}-\d\d-\d\d |\s+(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ", text)[0].strip()
    return None if found == "/dev/null" else found


def _strip_prefix(path: str) -> str:
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
            if begins_file(self.lines, self.at):
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
            old, new = _read_path(self._line()[4:]), _read_path(self._line(1)[4:])
            self.at += 2
        for name in (old, new):
            if name is not None and (name.startswith("/") or ".." in name.split("/")):
                raise UserError(f"{self._here()}: the path {name!r} leads out of the tree")
        hunks: list[Hunk] = []
        name = _strip_prefix(new or old or "?")
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
            raise UserError(f"{self._here()}: {quote(line)} does not name two files")
        return found.group(1), found.group(2)

    def _hunk(self, number: int, name: str) -> Hunk:
        what = f"hunk {number} of {name}"
        found = _HEADER.fullmatch(self._line())
        if not found:
            found = _HEADER.fullmatch(f"{self._line().rstrip()} {self._line(1)}")
            if not found:
                raise UserError(f"{self._here()}: {quote(self._line())} is not a hunk header")
            self.notes.append(f"{what}: its header was broken over two lines: joined")
            self.at += 1
        header, first = self.lines[self.at], self.at + 1
        numbers = [int(n) if n is not None else 1 for n in found.groups()[:4]]
        heading = found.group(5).strip()
        reading = self._body(numbers[1], numbers[3], first, what, header)
        if reading is None:
            heading = join_line(heading, self.lines[first]).strip()
            self.notes.append(
                f"{what}: its header was broken over two lines, {quote(self.lines[first])} "
                "put back behind it"
            )
            reading = self._body(numbers[1], numbers[3], first + 1, what, None)
            assert reading is not None
        body = reading.body
        self._say(what, body)
        self.at = reading.end
        return Hunk(numbers[0], heading, tuple(body.lines), body.tail)

    def _say(self, what: str, body: Body) -> None:
        for line in body.joined:
            self.notes.append(f"{what}: a line was broken, {quote(line)} put back behind it")
        if body.blanks:
            self.notes.append(f"{what}: {body.blanks} empty lines had lost their leading space")
        if body.no_breaks:
            self.notes.append(f"{what}: no-break spaces in {body.no_breaks} lines were made spaces")
        if body.old:
            self.notes.append(f"{what}: its last {body.old} context lines are missing")

    def _body(
        self, old: int, new: int, first: int, what: str, header: str | None
    ) -> Reading | None:
        """The hunk's lines from ``first`` on; None when its header goes on in that line."""
        hunk = HunkReader(self.lines, old, new)
        reading = hunk.read(first)
        if reading.problem is None:
            return reading
        follows = self.lines[first] if first < len(self.lines) else ""
        if header is not None and follows and is_wrapped(header, follows):
            after = hunk.read(first + 1)
            if after.problem is None or follows[0] not in " +-":
                return None
        found = hunk.read_otherwise(first)
        if len(found) == 1:
            return found[0]
        place = f"{self.where}, line {first}: {what}"
        if not found:
            raise UserError(f"{place} {reading.problem}")
        raise UserError(
            f"{place} is broken by line wrap in a way that can be read in {len(found)} ways: get "
            "the patch as an attachment"
        )
