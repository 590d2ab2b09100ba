"""A run's folder: the one owner of results/. Its contract is results/README.md.

Everything is written before the risky step or right after it, by temporary file and rename,
so that a run killed at any moment leaves a folder that can be read, verified and resumed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.console import records
from lab.errors import LabError, UserError
from lab.system.files import PROJECT, sha256, write_atomic
from lab.verdict.trial import Ending, TrialFacts, TrialVerdict

FORMAT = 1
RESULTS = PROJECT / "results"
# Rewritten while a run goes on, or after it by `lab verify`: not hashed.
_CHANGING = {
    "hashes.json", "junit.xml", "summary.md", "summary.json", "manifest.json", "claims.txt",
}  # fmt: skip


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
        """Before the boot: what will be tried, exactly."""
        # Whole or absent: a trial's folder without its facts could not be read again.
        scratch = self.path.with_name(f".{self.path.name}.opening")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        write_atomic(scratch / "trial.json", _json(asdict(facts)))
        write_atomic(scratch / "command.json", _json(command))
        scratch.rename(self.path)

    def ended(self, ending: Ending) -> None:
        self._write("ended.json", asdict(ending))

    def judged(self, verdict: TrialVerdict) -> None:
        """The records as JSON lines, and the verdict; last, so its presence means done."""
        lines = [json.dumps(r.as_json()) for r in records.parse(self.read_console()).records]
        write_atomic(self.path / "records.jsonl", "".join(f"{line}\n" for line in lines))
        self._write("verdict.json", verdict.as_json())

    def read_console(self) -> bytes:
        return self.console.read_bytes() if self.console.is_file() else b""

    def facts(self) -> TrialFacts:
        return TrialFacts(**_load(self.path / "trial.json"))

    def ending(self) -> Ending | None:
        path = self.path / "ended.json"
        return Ending(**_load(path)) if path.is_file() else None

    def verdict(self) -> dict[str, Any] | None:
        """The stored verdict as JSON; None when the trial was cut off before it."""
        path = self.path / "verdict.json"
        return _load(path) if path.is_file() else None

    def discard(self) -> None:
        """Remove what a killed controller left of a boot, to boot it again."""
        shutil.rmtree(self.path)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_atomic(self.path / name, _json(content))


class RunFolder:
    """results/RUN: all trials of one command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: Path = RESULTS) -> RunFolder:
        """A new folder named after the time (UTC), sortable, and results/latest to it."""
        root.mkdir(parents=True, exist_ok=True)
        name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}"
        folder = root / name
        try:
            folder.mkdir()
        except OSError as error:
            raise LabError(f"the run's folder {folder} cannot be made: {error.strerror}") from None
        latest, fresh = root / "latest", root / f".latest-{name}"
        fresh.symlink_to(name)
        os.replace(fresh, latest)
        return cls(folder)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run; UserError when the folder is none."""
        if not (path / "manifest.json").is_file():
            raise UserError(
                f"{path}: is no run's folder (it has no manifest.json); give one under {RESULTS}"
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
        """The number of a cell's newest trial; 0 when there is none."""
        return max((trial.number for trial in self.trials(cell)), default=0)

    def write(self, name: str, content: dict[str, Any]) -> None:
        write_atomic(self.path / name, _json(content))

    def write_text(self, name: str, text: str) -> None:
        write_atomic(self.path / name, text)

    def manifest(self) -> dict[str, Any]:
        return _load(self.path / "manifest.json")

    def read(self, name: str) -> dict[str, Any]:
        return _load(self.path / name)

    def summary(self) -> list[dict[str, Any]]:
        """The cells' outcomes as they were written last; empty when the run never came to it."""
        if not (self.path / "summary.json").is_file():
            return []
        cells: list[dict[str, Any]] = _load(self.path / "summary.json")["cells"]
        return cells

    def plan(self) -> list[dict[str, Any]]:
        """The cells of the run, as they were planned."""
        cells: list[dict[str, Any]] = _load(self.path / "plan.json")["cells"]
        return cells

    def time(self, what: str, seconds: float) -> None:
        """Add how long something took that a run does once (timings.json)."""
        self.write("timings.json", {**self.timings(), what: round(seconds, 2)})

    def timings(self) -> dict[str, float]:
        """Seconds of what a run does once: gathering, the host's boot, all cells."""
        path = self.path / "timings.json"
        return _load(path) if path.is_file() else {}

    def seal(self) -> None:
        """Write the hash of every file that will not change any more."""
        self.write("hashes.json", self.hashes())

    def hashes(self) -> dict[str, Any]:
        files = [p for p in sorted(self.path.rglob("*")) if p.is_file() and not p.is_symlink()]
        return {
            str(path.relative_to(self.path)): sha256(path)
            for path in files
            if path.name not in _CHANGING and not path.name.startswith(".")
        }

    def tampered(self) -> list[str]:
        """What differs from hashes.json: changed, missing and added files, each said so."""
        path = self.path / "hashes.json"
        if not path.is_file():
            return ["hashes.json is missing: the run was cut off before it was sealed"]
        then, now = _load(path), self.hashes()
        problems = [f"{name}: missing" for name in then if name not in now]
        problems += [f"{name}: added" for name in now if name not in then]
        problems += [f"{n}: changed" for n in then if n in now and then[n] != now[n]]
        return problems


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=False, default=str) + "\n"


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a run's evidence ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: should hold a JSON object")
    return content
