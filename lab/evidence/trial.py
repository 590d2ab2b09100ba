# SPDX-License-Identifier: GPL-2.0-or-later
"""A trial's folder: what was tried, the raw console, and the verdict, in the order of writing."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.console import records
from lab.console.watch import MOST_BYTES, Ending
from lab.evidence.content import dump, dump_records, load
from lab.system.files import read_from, write_atomic
from lab.verdict.facts import TrialFacts, TrialVerdict

_MOST_BYTES = 2 * MOST_BYTES  # a boot is ended a little after the limit


class TrialFolder:
    """cells/CELL/N: one trial's evidence."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def console(self) -> Path:
        return self.path / "console.log"

    def open(self, facts: TrialFacts, command: dict[str, Any]) -> None:
        """Before the boot: write exactly what will be tried."""
        # Atomic: a trial's folder without its facts could not be read again.
        scratch = self.path.with_name(f".{self.path.name}.opening")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        write_atomic(scratch / "trial.json", dump(asdict(facts)))
        write_atomic(scratch / "command.json", dump(command))
        scratch.rename(self.path)

    def write_ending(self, ending: Ending) -> None:
        self._write("ended.json", asdict(ending))

    def write_verdict(self, verdict: TrialVerdict) -> None:
        """The records as JSON lines, and the verdict; last, so its presence means done."""
        found = records.parse(self.read_console()).records
        write_atomic(self.path / "records.jsonl", dump_records(found))
        self._write("verdict.json", verdict.as_json())

    def read_console(self) -> bytes:
        """Never more of it than any boot is let say: the folder may be a stranger's."""
        return read_from(self.console, 0, _MOST_BYTES) if self.console.is_file() else b""

    def facts(self) -> TrialFacts:
        return TrialFacts(**load(self.path / "trial.json"))

    def ending(self) -> Ending | None:
        path = self.path / "ended.json"
        return Ending(**load(path)) if path.is_file() else None

    def verdict(self) -> dict[str, Any] | None:
        """The stored verdict as JSON; None when the trial was interrupted before it."""
        path = self.path / "verdict.json"
        return load(path) if path.is_file() else None

    def discard(self) -> None:
        """Remove what a killed controller left of a boot, so that it can be repeated."""
        shutil.rmtree(self.path)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_atomic(self.path / name, dump(content))
