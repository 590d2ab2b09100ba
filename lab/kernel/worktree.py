# SPDX-License-Identifier: GPL-2.0-or-later
"""The builder's own copy of a kernel source, brought from one wanted state to the next.

    FOLDER/src       the source, patched and mended
    FOLDER/pristine  files of src as the source has them, where they differ now
    FOLDER/obj       what make makes of it
    FOLDER/source    the source's own notes on what it brought: an id, a git index

Only files that differ are written, and a file that ends up as it was keeps its time: make then
builds again what a patch touches and nothing else. Cut off at any moment, the next call goes on.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.kernel.source import Source, find_series
from lab.patch import mail as patchmail
from lab.patch.mail import Patch
from lab.system.files import write_atomic
from lab.system.scratch import open_scratch

_ABSENT = ".lab-absent"  # stands in pristine/ for a file that the source does not have
Edit = Callable[[str], str | None]
"""A file's text to what it should be; None: it should not be there."""


@dataclass(frozen=True)
class Mend:
    """A change by rule: ``edit`` gets the text, empty for a file that is not there."""

    path: str
    edit: Edit


class Worktree:
    """One folder. Whoever uses it holds a lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.src, self.obj = folder / "src", folder / "obj"
        self._pristine, self._state = folder / "pristine", folder / "source"

    def bring(
        self, source: Source, patches: Sequence[Path], mends: Callable[[Path], Iterable[Mend]]
    ) -> list[str]:
        """Make src the source with the patches and then the mends; notes of the patches.

        UserError where a patch does not fit, src then being the source as it is.
        """
        self._place(source)
        before = self._remember_files()
        self._restore()
        source.bring(self.src, self._state)
        with open_scratch("kernel") as stage:
            named, notes = self._patch(stage, patches)
            self._mend(stage, mends)
            self._take(stage)
            for gone in named:
                if (self.src / gone).is_file() and not (stage / gone).exists():
                    self._keep(gone)
                    (self.src / gone).unlink()
        self._keep_times(before)
        return notes

    def difference(self) -> bytes:
        """All that src has other than its source, as a patch; empty when nothing."""
        made = []
        for name in sorted(self._list_changed()):
            old, new = self._pristine / name, self.src / name
            made += _make_diff(name, old if old.is_file() else None, new if new.is_file() else None)
        return "".join(made).encode(errors="surrogateescape")

    def _place(self, source: Source) -> None:
        """Another place, or another series whose objects would not fit: begin anew."""
        mark = self.folder / "place"
        wanted = f"{source.place} {find_series(source.release)}"
        if mark.exists() and mark.read_text() == wanted:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self._pristine.mkdir(parents=True)
        self.obj.mkdir()
        write_atomic(mark, wanted)

    def _remember_files(self) -> dict[str, tuple[bytes, int]]:
        files = [self.src / name for name in self._list_changed()]
        return {
            str(path.relative_to(self.src)): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in files
            if path.is_file()
        }

    def _list_changed(self) -> list[str]:
        kept = [path for path in self._pristine.rglob("*") if path.is_file()]
        return [str(path.relative_to(self._pristine)).removesuffix(_ABSENT) for path in kept]

    def _restore(self) -> None:
        for name in self._list_changed():
            kept = self._pristine / name
            if kept.is_file():
                (self.src / name).parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self.src / name, kept.read_bytes())
                (self.src / name).chmod(kept.stat().st_mode & 0o777)
                kept.unlink()
            else:
                (self.src / name).unlink(missing_ok=True)
                kept.with_name(kept.name + _ABSENT).unlink()

    def _patch(self, stage: Path, patches: Sequence[Path]) -> tuple[set[str], list[str]]:
        """Apply to copies of the files that the patches name, without fuzz; names and notes."""
        read: list[Patch] = [patch for path in patches for patch in patchmail.read(path)]
        named = set()
        for change in (change for patch in read for change in patch.changes):
            for path in (change.old, change.new):
                # As the diff writes it, a/ and b/ and all; what leaves the tree is not copied.
                inside = (path or "").partition("/")[2]
                if inside and ".." not in inside.split("/"):
                    named.add(inside)
                    self._copy(inside, stage)
        fitted = patchmail.apply(read, stage)
        return named, [f"{one.name}: {note}" for one in fitted for note in one.notes]

    def _copy(self, name: str, stage: Path) -> None:
        if (self.src / name).is_file() and not (stage / name).exists():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.src / name, stage / name)

    def _mend(self, stage: Path, mends: Callable[[Path], Iterable[Mend]]) -> None:
        for mend in mends(self.src):
            self._copy(mend.path, stage)
            file = stage / mend.path
            text = file.read_bytes().decode(errors="surrogateescape") if file.is_file() else ""
            made = mend.edit(text)
            if made is None:
                file.unlink(missing_ok=True)
            elif made != text:
                file.parent.mkdir(parents=True, exist_ok=True)
                mode = file.stat().st_mode & 0o777 if file.is_file() else 0o644
                write_atomic(file, made.encode(errors="surrogateescape"))
                file.chmod(mode)

    def _take(self, stage: Path) -> None:
        """Bring the staged files into src, what they replace being kept first."""
        for path in sorted(stage.rglob("*")):
            name = str(path.relative_to(stage))
            if not path.is_file():
                continue
            target = self.src / name
            if target.is_file() and target.read_bytes() == path.read_bytes():
                continue
            self._keep(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            mode = path.stat().st_mode & 0o777
            write_atomic(target, path.read_bytes())
            target.chmod(mode)

    def _keep(self, name: str) -> None:
        kept = self._pristine / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        if (self.src / name).is_file():
            shutil.copy(self.src / name, self.folder / "part")
            (self.folder / "part").rename(kept)
        else:
            kept.with_name(kept.name + _ABSENT).touch()

    def _keep_times(self, before: dict[str, tuple[bytes, int]]) -> None:
        for name, (content, time) in before.items():
            path = self.src / name
            if path.is_file() and path.read_bytes() == content:
                os.utime(path, ns=(time, time))


def _make_diff(name: str, old: Path | None, new: Path | None) -> list[str]:
    before, after = (
        path.read_bytes().decode(errors="surrogateescape").splitlines(keepends=True) if path else []
        for path in (old, new)
    )
    names = (f"a/{name}" if old else "/dev/null", f"b/{name}" if new else "/dev/null")
    lines = difflib.unified_diff(before, after, *names)
    return [
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    ]
