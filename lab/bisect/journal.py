# SPDX-License-Identifier: GPL-2.0-or-later
"""A bisect's folder: its question, a JSON file for each finished step, and git's clone.

A step's evidence is a folder like any run's (`lab verify` reads it); its outcome is a file
beside it, written last and atomically. So a bisect that is killed at any moment knows what is
done, and continues the trials of the step that was under way.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.bisect.marks import Question, Step
from lab.errors import LabError, UserError
from lab.evidence.run import RunFolder
from lab.system.files import write_atomic
from lab.verdict.severity import Verdict

ORDER = "bisect.json"
ENDS = "00-ends"
_UNFIT = re.compile(r"[^A-Za-z0-9._+-]")


@dataclass(frozen=True)
class Order:
    """What was asked, as bisect.json keeps it. ``tree``: a repository, or a folder of kernels."""

    tree: str
    good: str  # as the user said it
    bad: str
    question: Question
    cell: str
    args: str
    prebuilt: bool
    compiler: str
    repeat: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Order:
        asked = dict(content["question"])
        asked["paths"] = tuple(asked["paths"])
        return cls(**{**content, "question": Question(**asked)})


@dataclass(frozen=True)
class Round:
    """One session of the confirmation. ``as_expected``: it supports the answer."""

    name: str
    folder: str
    as_expected: bool
    says: str
    seconds: float = 0.0
    miss: float = 0.0


@dataclass(frozen=True)
class Answer:
    """``status``: confirmed, suspected, undecided (only skipped commits are left), not proved."""

    status: str
    culprit: str = ""
    parent: str = ""
    why: tuple[str, ...] = ()
    among: tuple[str, ...] = ()  # undecided: the commits that it could be
    name: str = ""  # of a prebuilt kernel, whose commit the lab made


class Journal:
    """The bisect's folder; ``steps`` and ``rounds`` in the order in which they were done."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.path = folder.path
        self._steps = self.path / "steps"
        self._steps.mkdir(exist_ok=True)

    @classmethod
    def open(cls, path: Path) -> tuple[Journal, Order]:
        """Open an earlier bisect; UserError when the folder is not of one."""
        if not (path / ORDER).is_file():
            raise UserError(f"{path}: is not a bisect's folder (it has no {ORDER})")
        folder = RunFolder.open(path)
        return cls(folder), Order.from_json(folder.read(ORDER))

    def evidence(self, name: str) -> RunFolder:
        """The folder of a step's session; it exists already when the step was interrupted."""
        path = self._steps / _UNFIT.sub("-", name)
        path.mkdir(exist_ok=True)
        return RunFolder(path)

    def boots_of(self, cell: str) -> tuple[Path, int]:
        """The folder of a cell's trials in the last finished session, and how many count."""
        done = [step.folder for step in self.steps()] + [made.folder for made in self.rounds()]
        for name in reversed([name for name in done if name]):
            folder = RunFolder(self.path / name)
            trials = [trial.verdict() for trial in folder.trials(cell)]
            counted = [t for t in trials if t and t["verdict"] != Verdict.LAB_ERROR.value]
            if counted:
                return folder.path / "cells" / cell, len(counted)
        raise LabError(f"{self.path}: no session has boots of the control {cell}")

    def relative(self, folder: RunFolder) -> str:
        return str(folder.path.relative_to(self.path))

    def set_aside(self, name: str) -> Path:
        """Rename the folder of a session in which the lab or the control failed; it is kept."""
        path = self._steps / _UNFIT.sub("-", name)
        number = 1
        while (aside := path.with_name(f"{path.name}.stopped{number}")).exists():
            number += 1
        path.rename(aside)
        return aside

    def finish(self, name: str, content: list[dict[str, Any]]) -> None:
        """Write a step's outcome, after its evidence."""
        text = json.dumps({"done": content}, indent=1) + "\n"
        write_atomic(self._outcome(name), text)

    def outcome(self, name: str) -> list[dict[str, Any]] | None:
        """What ``finish`` wrote; None when the step is not finished."""
        path = self._outcome(name)
        if not path.is_file():
            return None
        content: list[dict[str, Any]] = self.folder.read(f"steps/{path.name}")["done"]
        return content

    def _outcome(self, name: str) -> Path:
        return self._steps / f"{_UNFIT.sub('-', name)}.json"

    def steps(self) -> list[Step]:
        """Marked commits, the ends first."""
        names = sorted(path.stem for path in self._steps.glob("[0-9]*.json"))
        return [Step.from_json(content) for n in names for content in self.outcome(n) or []]

    def rounds(self) -> list[Round]:
        names = sorted(path.stem for path in self._steps.glob("confirm-*.json"))
        return [Round(**content) for name in names for content in self.outcome(name) or []]
