# SPDX-License-Identifier: GPL-2.0-or-later
"""The history of a results folder: RESULTS/history.sqlite, made from the run folders at any time.

The folders stay the truth. Where the file cannot be written (a full disk, results that are only
read), the same index is made in memory.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from lab.history.gather import find_runs, read_run
from lab.history.result import Result, Run
from lab.history.store import DAMAGED, UNUSABLE, Store
from lab.system.cache import locked

FILE = "history.sqlite"


class Index:
    """Open it with ``open_index``. Everything is in the order of time.

    It shows one moment, that of ``refresh``: what is written later is not seen before the next one.
    """

    def __init__(self, results: Path, store: Store) -> None:
        self.folder = results
        self._store = store

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        self._store.close()

    def refresh(self, anew: bool = False) -> None:
        """Read what was written since the last time, and forget what is not there any more.

        ``anew``: read everything.
        """
        self._store.let_go()
        known = self._store.stamps()
        found = {_name(path): (path, stamp) for path, stamp in find_runs(self.folder)}
        changed = [both for name, both in found.items() if anew or known.get(name) != both[1]]
        gone = [name for name in known if name not in found]
        if changed or gone:
            records = [read_run(self.folder, path, stamp) for path, stamp in changed]
            self._store.replace(records, gone)
        self._store.hold()

    def runs(self) -> list[Run]:
        return self._store.runs()

    def results(
        self, cell: str | None = None, night: str | None = None, run: str | None = None
    ) -> list[Result]:
        """Of a cell, of a night, of a run, or of all."""
        return self._store.results(cell=cell, night=night, run=run)

    def nights(self) -> list[str]:
        """The ids of the nights that any run belongs to."""
        return self._store.list_nights()

    def cells(self) -> list[str]:
        """The ids of the cells that have any result, in the order of their first ones."""
        return self._store.list_cells()


def open_index(results: Path, anew: bool = False) -> Index:
    """The history of a results folder, with all that is in it by now.

    It may be empty, and the folder does not have to exist. ``anew``: what the index held is read
    again.
    UserError where ``history.sqlite`` is a database of something else.
    """
    results = results.absolute()
    path = results / FILE
    if results.is_dir():
        try:
            return _open(results, path, anew)
        except (UNUSABLE, OSError):
            pass
        except DAMAGED:
            return _replace_damaged(results, path)
    return _open(results, None)


def _replace_damaged(results: Path, path: Path) -> Index:
    """Keep the damaged file under another name, unless another process was quicker."""
    with locked(path.with_name(f".{FILE}.damaged.lock")):
        try:
            return _open(results, path)
        except DAMAGED:
            for end in ("-wal", "-shm"):
                path.with_name(f"{FILE}{end}").unlink(missing_ok=True)
            os.replace(path, path.with_name(f"{FILE}.damaged"))
            return _open(results, path)


def _open(results: Path, path: Path | None, anew: bool = False) -> Index:
    index = Index(results, Store(path))
    try:
        index.refresh(anew)
    except BaseException:
        index.close()
        raise
    return index


def _name(path: Path) -> str:
    return path.stem if path.suffix == ".json" else path.name
