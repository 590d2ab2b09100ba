# SPDX-License-Identifier: GPL-2.0-or-later
"""Fitting a diff to a tree: where each hunk goes, why not, and the strict patch that results.

The result applies with `patch -p1 -F0` or `git apply`: what was fuzzy, shifted or had lost its
tabs has become what the tree really says, and every such step is a note. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from lab.errors import LabError, UserError
from lab.patch.diff import FileChange
from lab.patch.hunk import Hunk
from lab.patch.place import (
    COLUMN,
    EXACT,
    EXPANDED,
    LOOSE,
    Lines,
    Place,
    apply_hunk,
    count_context,
    explain,
    find_places,
)
from lab.system.git import attempt
from lab.system.process import find_error
from lab.system.scratch import open_scratch


class Tree(Protocol):
    """A source tree that can be read. Files keep odd bytes by surrogateescape."""

    @property
    def name(self) -> str:
        """For messages."""

    def read(self, path: str) -> str | None:
        """A file's text; None when the tree has no such file."""


@dataclass(frozen=True)
class Fitted:
    """A strict patch: ``text`` has a/ and b/ paths and full context."""

    name: str
    text: str
    notes: tuple[str, ...]


@dataclass
class _Fit:
    """One patch being fitted to a tree that earlier patches have changed."""

    name: str
    tree: Tree
    changed: dict[str, str | None]  # the tree's files as they are now
    fuzz: int
    loose: bool
    notes: list[str] = field(default_factory=list)

    def read(self, path: str) -> str | None:
        return self.changed[path] if path in self.changed else self.tree.read(path)

    def change(self, change: FileChange) -> None:
        old, new = self._paths(change)
        if old is None:
            assert new is not None
            if self.read(new):
                raise UserError(
                    f"{self.name}: it creates {new}, which {self.tree.name} has already"
                )
            content: Lines = []
        else:
            text = self.read(old)
            if text is None:
                raise UserError(f"{self.name}: there is no file {old} in {self.tree.name}")
            content = _split_lines(text)
        content = self._hunks(change, content, new or old or "?")
        if new is None:
            if content:
                raise UserError(f"{self.name}: it deletes {old}, but not all of what the tree has")
            self.changed[str(old)] = None
            return
        if old is not None and old != new and not _is_copy(change):
            self.changed[old] = None
        self.changed[new] = "".join(content)

    def _paths(self, change: FileChange) -> tuple[str | None, str | None]:
        """Paths in the tree: one folder off (a/ and b/), or as many as makes the file be there."""
        for strip in (1, 0, 2):
            old, new = (_strip(path, strip) for path in (change.old, change.new))
            if change.old is not None and (old is None or self.read(old) is None):
                continue
            if change.old is None and new is None:
                continue
            if strip != 1 and change.old is not None:
                self.notes.append(f"{change.name}: taken as {old} (as with patch -p{strip})")
            return old, new
        wanted = _strip(change.old, 1) or change.old
        raise UserError(f"{self.name}: there is no file {wanted} in {self.tree.name}")

    def _hunks(self, change: FileChange, content: Lines, path: str) -> Lines:
        result: Lines = []
        done = 0  # lines of ``content`` that are behind us
        shift = 0
        for number, given in enumerate(change.hunks, 1):
            what = f"hunk {number} of {path}"
            wanted = max(given.old_start - 1, 0) + shift
            hunk, place = self._find(content, given, wanted, done, what)
            shift = place.at - max(hunk.old_start - 1, 0)
            self._say(what, hunk, place, shift, content)
            result += content[done : place.at]
            made, used = apply_hunk(content, hunk, place)
            result += made
            done = place.at + used
        return result + content[done:]

    def _find(
        self, content: Lines, hunk: Hunk, wanted: int, first: int, what: str
    ) -> tuple[Hunk, Place]:
        modes = [EXACT] if any("\t" in line for line in hunk.lines) else [EXACT, COLUMN, EXPANDED]
        if self.loose:
            modes.append(LOOSE)
        for doubtful in range(min(hunk.doubtful, count_context(hunk)[1]) + 1):
            shorter = replace(hunk, lines=hunk.lines[: len(hunk.lines) - doubtful])
            found = next(
                find_places(content, shorter, wanted, first, modes, range(self.fuzz + 1)), None
            )
            if found is not None:
                if doubtful:
                    self.notes.append(
                        f"{what}: {doubtful} empty lines below it are not taken as part of it"
                    )
                return shorter, found
        raise UserError(f"{self.name}: {explain(content, hunk, wanted, first, modes, what)}")

    def _say(self, what: str, hunk: Hunk, place: Place, shift: int, content: Lines) -> None:
        if place.mode.says:
            self.notes.append(f"{what}: {place.mode.says}")
        if shift:
            self.notes.append(f"{what}: fits at line {place.at + 1}, {shift:+d} from where it says")
        for line, there in zip(hunk.old, content[place.at :], strict=False):
            if place.mode.patch(line) != place.mode.same(there):
                wanted, found = line.strip(), there.strip()
                self.notes.append(f"{what}: by fuzz, {found!r} is taken for {wanted!r}")


def fit(
    patches: Sequence[tuple[str, Sequence[FileChange]]],
    tree: Tree,
    fuzz: int = 0,
    loose: bool = False,
) -> list[Fitted]:
    """Strict patches, each on top of those before it; UserError for what does not fit.

    ``fuzz``: context lines at a hunk's ends that need not be as the patch says (patch -F).
    ``loose``: white space is not compared.
    """
    now: dict[str, str | None] = {}
    made = []
    for name, changes in patches:
        before = dict(now)
        work = _Fit(name, tree, now, fuzz, loose)
        for change in changes:
            work.change(change)
        touched = {path for path in now if path not in before or before[path] != now[path]}
        was = {path: before[path] if path in before else tree.read(path) for path in touched}
        text = _make_diff(was, {path: now[path] for path in touched})
        if not text:
            raise UserError(f"{name}: it changes nothing in {tree.name}")
        made.append(Fitted(name, text, tuple(work.notes)))
    return made


def _split_lines(text: str) -> Lines:
    """Lines with their ends; str.splitlines would also split at a form feed."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop()
    return lines + ([last[:-1]] if last != "\n" else [])


def _is_copy(change: FileChange) -> bool:
    return any(header.startswith("copy ") for header in change.headers)


def _strip(path: str | None, folders: int) -> str | None:
    if path is None:
        return None
    parts = path.split("/")
    return "/".join(parts[folders:]) or None


def _make_diff(was: dict[str, str | None], now: dict[str, str | None]) -> str:
    """A unified diff of two sets of files, by git."""
    with open_scratch("patch") as base:
        for side, files in (("a", was), ("b", now)):
            (base / side).mkdir()
            for path, content in files.items():
                if content is not None:
                    file = base / side / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(content.encode(errors="surrogateescape"))
        options = ["--no-prefix", "--no-color", "--no-ext-diff", "--no-renames", "--full-index"]
        done = attempt(
            "diff", "--no-index", *options, "a", "b", at=base, env={"GIT_DIR": "/nonexistent"}
        )
        if done.returncode > 1:  # 1: there is a difference
            raise LabError(f"git diff failed: {find_error(done.stderr)}")
        return done.stdout
