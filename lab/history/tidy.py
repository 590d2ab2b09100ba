# SPDX-License-Identifier: GPL-2.0-or-later
"""Old evidence removed, so that nights do not fill the disk. Its verdicts stay in the history.

Only a run of a night goes, sealed, with every cell as expected, in a folder that holds nothing
but what the lab wrote. Its stone (lab/history/stone.py) is written first, and the folder is renamed
before it is removed: killed at any moment, a run is whole or has its stone.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.config.keep import KeepConfig
from lab.errors import LabError, UserError
from lab.evidence.run import RunFolder
from lab.history.index import Index
from lab.history.result import Run
from lab.history.stone import stone_path, write_stone

_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")
_GOING = ".removing-"
_GIB = 1 << 30


@dataclass(frozen=True)
class Going:
    """A run whose evidence goes. ``why``: in a few words."""

    run: Run
    size: int  # bytes on the disk
    why: str


@dataclass(frozen=True)
class Plan:
    """What goes; and the bytes on the disk before, and after it."""

    going: tuple[Going, ...]
    size: int
    left: int
    wanted: int | None  # bytes, at most

    @property
    def enough(self) -> bool:
        """Whether what is left is within what was wanted."""
        return self.wanted is None or self.left <= self.wanted


def plan(index: Index, keep: KeepConfig) -> Plan:
    """Decide what goes, and touch nothing. The newest night always stays."""
    root = index.folder
    nights = index.nights()
    too_old = set(nights[: -keep.nights]) if keep.nights is not None else set()
    sizes = {run.id: measure(root / run.folder) for run in index.runs() if not run.removed}
    size = left = sum(sizes.values())
    wanted = int(keep.gib * _GIB) if keep.gib is not None else None
    going = []
    for run in _find_removable(index):
        old = run.night in too_old
        full = wanted is not None and left > wanted and run.night != nights[-1]
        if (old or full) and _is_only_ours(root / run.folder):
            why = (
                f"older than the last {keep.nights} nights"
                if old
                else f"more than {keep.gib:g} GiB"
            )
            going.append(Going(run, sizes[run.id], why))
            left -= sizes[run.id]
    return Plan(tuple(going), size, left, wanted)


def _say_why(keep: KeepConfig, old: bool) -> str:
    return f"older than the last {keep.nights} nights" if old else f"more than {keep.gib:g} GiB"


def _find_removable(index: Index) -> list[Run]:
    """The oldest first."""
    wrong = {r.run for r in index.results() if r.verdict is not None and not r.as_expected}
    shown = {r.run for r in index.results()}
    latest = (index.folder / "latest").resolve().name
    return [
        run
        for run in index.runs()
        if run.night is not None and run.ended and not run.removed and run.id in shown - wrong
        and run.id != latest and _RUN.fullmatch(run.id)
    ]  # fmt: skip


def _is_only_ours(folder: Path) -> bool:
    """Whether it is a run's folder with nothing in it that somebody else put there."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    try:
        return not RunFolder.open(folder).find_strange()
    except UserError:
        return False


def measure(folder: Path) -> int:
    """Bytes that a folder takes on the disk."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(base) / name).st_blocks * 512
            except OSError:
                continue  # gone meanwhile
    return total


def tidy(index: Index, keep: KeepConfig) -> Plan:
    """Remove what is not kept; the index is then as the disk is. LabError on a disk's fault."""
    decided = plan(index, keep)
    try:
        for going in decided.going:
            _remove(index.folder, going.run)
        _sweep(index.folder)
    except OSError as error:
        raise LabError(f"{index.folder}: old evidence cannot be removed ({error})") from None
    finally:
        index.refresh()
    return decided


def _remove(root: Path, run: Run) -> None:
    """Write a run's stone, then remove its folder."""
    folder = root / run.folder
    write_stone(root, folder)
    hidden = root / f"{_GOING}{folder.name}"
    folder.rename(hidden)
    shutil.rmtree(hidden)


def _sweep(root: Path) -> None:
    """Finish what was under way when the lab was killed."""
    for path in root.glob(f"{_GOING}*"):
        name = path.name.removeprefix(_GOING)
        if _RUN.fullmatch(name) and stone_path(root, name).is_file() and not path.is_symlink():
            shutil.rmtree(path)
