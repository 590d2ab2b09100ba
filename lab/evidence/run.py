# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's folder: the one owner of results/. Its contract is results/README.md.

Everything is written before the risky step or right after it, by temporary file and rename,
so that a run killed at any moment leaves a folder that can be read, verified and resumed.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any

from lab.errors import LabError, UserError
from lab.evidence.content import dump, load
from lab.evidence.trial import TrialFolder
from lab.system.files import sha256, write_atomic

FORMAT = 1
# Rewritten during a run, or after it by `lab verify`: not hashed.
_CHANGING = {
    "hashes.json", "junit.xml", "summary.md", "summary.json", "manifest.json", "claims.txt",
}  # fmt: skip


PAGES = "page"  # the folder of a run's pages, made from the rest at any time: not evidence


class RunFolder:
    """results/RUN: all trials of one command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path) -> RunFolder:
        """A new folder in ``root``, named after the time (UTC), and the link ``latest`` to it."""
        name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
        folder = root / name
        latest, fresh = root / "latest", root / f".latest-{name}"
        try:
            folder.mkdir(parents=True)
            fresh.symlink_to(name)
            os.replace(fresh, latest)
        except OSError as error:
            raise LabError(
                f"{root}: no run's folder can be made there ({error.strerror}); "
                "name another one by --results"
            ) from None
        return cls(folder)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run; UserError when the folder is not one."""
        if not (path / "manifest.json").is_file():
            raise UserError(
                f"{path}: is not a run's folder (it has no manifest.json); `lab list` names them"
            )
        run = cls(path.resolve())
        found = run.manifest().get("format")
        if found != FORMAT:
            raise UserError(f"{path}: has format {found}, this lab reads format {FORMAT}")
        return run

    @property
    def host(self) -> Path:
        """Evidence of the Xen host; made when asked for."""
        path = self.path / "host"
        path.mkdir(exist_ok=True)
        return path

    def trial(self, cell: str, number: int) -> TrialFolder:
        return TrialFolder(self.path / "cells" / cell / str(number))

    def trials(self, cell: str) -> list[TrialFolder]:
        """A cell's trials by number."""
        folder = self.path / "cells" / cell
        names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        return [self.trial(cell, n) for n in sorted(int(n) for n in names if n.isdigit())]

    def last_trial(self, cell: str) -> int:
        """The number of a cell's newest trial; 0 without any."""
        return max((trial.number for trial in self.trials(cell)), default=0)

    def write(self, name: str, content: dict[str, Any]) -> None:
        write_atomic(self.path / name, dump(content))

    def write_text(self, name: str, text: str) -> None:
        write_atomic(self.path / name, text)

    def manifest(self) -> dict[str, Any]:
        return load(self.path / "manifest.json")

    def read(self, name: str) -> dict[str, Any]:
        return load(self.path / name)

    def summary(self) -> list[dict[str, Any]]:
        """The cells' outcomes as they were written last; empty when none were written yet."""
        if not (self.path / "summary.json").is_file():
            return []
        cells: list[dict[str, Any]] = load(self.path / "summary.json")["cells"]
        return cells

    def plan(self) -> list[dict[str, Any]]:
        """The cells of the run, as they were planned."""
        cells: list[dict[str, Any]] = load(self.path / "plan.json")["cells"]
        return cells

    def time(self, what: str, seconds: float) -> None:
        """Record how long a step took that a run does once (timings.json)."""
        self.write("timings.json", {**self.timings(), what: round(seconds, 2)})

    def timings(self) -> dict[str, float]:
        """Seconds of the steps that a run does once: gathering, the host's boot, all cells."""
        path = self.path / "timings.json"
        return load(path) if path.is_file() else {}

    def seal(self) -> None:
        """Write the hash of every file that will not change again."""
        self.write("hashes.json", self.hashes())

    def hashes(self) -> dict[str, Any]:
        files = [p for p in sorted(self.path.rglob("*")) if p.is_file() and not p.is_symlink()]
        pages = self.path / PAGES
        return {
            str(path.relative_to(self.path)): sha256(path)
            for path in files
            if path.name not in _CHANGING
            and not path.name.startswith(".")
            and not path.is_relative_to(pages)
        }

    def find_strange(self) -> list[str]:
        """The names of files of a sealed run that the lab did not write: not hashed, and not those
        that change.
        """
        known, pages = load(self.path / "hashes.json"), self.path / PAGES
        files = [p for p in self.path.rglob("*") if p.is_symlink() or not p.is_dir()]
        return sorted(
            name
            for path in files
            if (name := str(path.relative_to(self.path))) not in known
            and name not in _CHANGING
            and not path.is_relative_to(pages)
        )

    def find_changes(self) -> list[str]:
        """What differs from hashes.json: changed, missing and added files."""
        path = self.path / "hashes.json"
        if not path.is_file():
            return ["hashes.json is missing: the run was interrupted before it was sealed"]
        then, now = load(path), self.hashes()
        problems = [f"{name}: missing" for name in then if name not in now]
        problems += [f"{name}: added" for name in now if name not in then]
        problems += [f"{n}: changed" for n in then if n in now and then[n] != now[n]]
        return problems
