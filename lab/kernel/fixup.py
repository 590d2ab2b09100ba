# SPDX-License-Identifier: GPL-2.0-or-later
"""Old kernel trees and new compilers: which measures a tree needs, by what it lacks.

The measures themselves are data (lab/kernel/fixup_table.py). Everything here is pure but for
reading files of the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.console.release import Release
from lab.kernel.worktree import Mend


@dataclass(frozen=True)
class Fixup:
    """``last``: the last series, such as (4, 1) or (2, 6, 28), that may need it. ``source``: who
    knows it.
    """

    name: str
    last: tuple[int, ...]
    reason: str
    source: str

    @property
    def identity(self) -> str:
        """Changes with what it does, not with its reason or source."""
        return repr(replace(self, reason="", source=""))


@dataclass(frozen=True)
class Measure(Fixup):
    """Words for the compilers, given inside CC= and HOSTCC=: make variables such as KCFLAGS and
    LDFLAGS_vmlinux would come after, or replace, what the tree itself gives.

    ``lacks``: only where this file of the tree has no match of the pattern.
    """

    cc: tuple[str, ...] = ()
    hostcc: tuple[str, ...] = ()
    lacks: tuple[str, str] | None = None


@dataclass(frozen=True)
class Header(Fixup):
    """A header for a compiler newer than the tree, which includes the newest that it has.

    ``find``: only where this file has a match. ``path`` is its name by the compiler's major.
    """

    find: tuple[str, str] = ("", "")
    path: str = ""
    known: str = ""


@dataclass(frozen=True)
class Edit(Fixup):
    """Every match of ``find`` (multi-line) in ``path`` becomes ``put``.

    ``lacks``: not where the file has a match of this, that is, the change already.
    """

    path: str = ""
    find: str = ""
    put: str = ""
    lacks: str = ""


@dataclass(frozen=True)
class Chosen:
    """What a tree gets. ``names``: of all fix-ups that did something."""

    names: tuple[str, ...]
    cc: tuple[str, ...]
    hostcc: tuple[str, ...]
    mends: tuple[Mend, ...]


def consider(table: Sequence[Fixup], release: Release) -> tuple[Fixup, ...]:
    """The fix-ups whose range has this release; none for a kernel of today."""
    return tuple(fixup for fixup in table if release[: len(fixup.last)] <= fixup.last)


def choose(table: Sequence[Fixup], release: Release, tree: Path, major: int) -> Chosen:
    """Of a table, what a tree needs as it lies, with gcc's major version."""
    names: list[str] = []
    cc: list[str] = []
    hostcc: list[str] = []
    mends: list[Mend] = []
    for fixup in consider(table, release):
        if isinstance(fixup, Measure) and not _matches(tree, fixup.lacks):
            names.append(fixup.name)
            cc += fixup.cc
            hostcc += fixup.hostcc
        made = list(_make_mends(fixup, tree, major))
        if made:
            names.append(fixup.name)
            mends += made
    return Chosen(tuple(names), tuple(cc), tuple(hostcc), tuple(mends))


def _make_mends(fixup: Fixup, tree: Path, major: int) -> Iterator[Mend]:
    if isinstance(fixup, Edit) and _needs(tree, fixup):
        yield Mend(fixup.path, lambda text: edit_text(text, fixup))
    if isinstance(fixup, Header) and _matches(tree, fixup.find):
        newest = max((n for n in range(3, 20) if (tree / fixup.known.format(major=n)).is_file()),
                     default=0)  # fmt: skip
        if newest and newest < major:
            name = Path(fixup.known.format(major=newest)).relative_to("include")
            yield Mend(fixup.path.format(major=major), lambda _text: f"#include <{name}>\n")


def _needs(tree: Path, edit: Edit) -> bool:
    there = bool(edit.lacks) and _matches(tree, (edit.path, edit.lacks))
    return not there and _matches(tree, (edit.path, edit.find))


def edit_text(text: str, edit: Edit) -> str:
    """The text of a file with the edit made where it is needed."""
    if edit.lacks and re.search(edit.lacks, text, re.MULTILINE):
        return text
    return re.sub(edit.find, edit.put, text, flags=re.MULTILINE)


def _matches(tree: Path, what: tuple[str, str] | None) -> bool:
    """Whether a file of the tree has a match; false without the file."""
    if what is None:
        return False
    path = tree / what[0]
    if not path.is_file():
        return False
    text = path.read_bytes().decode(errors="surrogateescape")
    return re.search(what[1], text, re.MULTILINE) is not None
