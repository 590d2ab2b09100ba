# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of made-up kernels whose place is a script: each boot writes the console it is given."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab.config.cells import Cell, cells
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.console.watch import Ending
from lab.evidence.run import FORMAT, RunFolder
from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable, Kernel
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.report.board import Board
from lab.run.durations import Durations
from lab.run.outcomes import Outcomes
from lab.run.schedule import Schedule
from lab.supplies.gather import Supplies
from lab.trial.assignment import Assignment
from lab.trial.job import Job
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict
from tests.helpers.consoles import console

CONFIG = """
kernels: {old: {image: old.bzImage}}
matrix: {guests: [native, dom0]}
trials: %d
expect: {corrupts: [dom0-old], clean: [native-old]}
"""


class FakePlace:
    """Writes a console for each boot, or raises what it is given."""

    def __init__(self, script: Callable[[Cell, int], dict[str, Any] | Exception]) -> None:
        self.script = script
        self.boots: list[str] = []

    def describe(self, task: Assignment, _console: Path) -> dict[str, Any]:
        return {"place": "fake", "args": task.args}

    def boot(self, task: Assignment, path: Path, _board: Board, _stop: threading.Event) -> Ending:
        self.boots.append(task.cell.id)
        wanted = self.script(task.cell, self.boots.count(task.cell.id))
        if isinstance(wanted, Exception):
            raise wanted
        facts = json.loads((path.parent / "trial.json").read_text())
        xen = "pv" if task.cell.guest == "dom0" else "none"
        path.write_bytes(console(nonce=facts["nonce"], xen=xen, dom0=1, **wanted))
        return Ending("finished", seconds=1.0)

    def keep(self, *_: object) -> None:
        """Nothing of a fake can be replayed."""


class Ran(NamedTuple):
    """What a test looks at of a run that has ended."""

    folder: RunFolder
    config: LabConfig
    exit_code: Callable[[], int]
    outcomes: Callable[[], list[CellVerdict]]


def truth(cell: Cell, _boot: int) -> dict[str, Any]:
    return {"corruptions": 50, "hits": 40, "windows": 100} if cell.guest == "dom0" else {}


def run_with(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: FakePlace,
    trials: int = 1,
    folder: RunFolder | None = None,
    text: str = CONFIG,
    stop: threading.Event | None = None,
) -> tuple[Ran, list[CellVerdict]]:
    config: LabConfig = parse(text % trials, tmp_path / "lab.yaml")
    image = tmp_path / "kernel"
    image.write_bytes(b"kernel")
    supplies = Supplies(
        Qemu(Path("/qemu"), "7.2.0", ("native", "dom0"), "fake"),
        Accel("tcg", "fake"), image, image,
        {"old": Bootable(Kernel("old", image), BzImage("3.19.8", True, False))}, None, None,
    )  # fmt: skip
    plan = cells(config)
    if folder is None:
        folder = RunFolder.create(tmp_path / "results")
        folder.write("plan.json", {"cells": [asdict(cell) for cell in plan]})
        folder.write("manifest.json", {"format": FORMAT})
        folder.write("config.json", config.model_dump(mode="json"))
    monkeypatch.setattr("lab.run.schedule.OwnMachine", lambda *_: place)
    monkeypatch.setattr(
        "lab.run.schedule.Durations", lambda: Durations(tmp_path / "durations.json")
    )
    job = Job(config, supplies, folder, Board(), stop or threading.Event())
    outcomes = Outcomes(job, plan, {}, "lab run")
    made = Schedule(job, plan, outcomes).execute()
    return Ran(job.folder, config, outcomes.exit_code, outcomes.all), made


def verdicts(outcomes: list[CellVerdict]) -> dict[str, Verdict | None]:
    return {outcome.cell.id: outcome.verdict for outcome in outcomes}
