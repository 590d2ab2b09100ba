# SPDX-License-Identifier: GPL-2.0-or-later
"""A search in its folder: begin it, run it, resume it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.evidence.manifest import make_manifest
from lab.evidence.run import RunFolder
from lab.report.board import Board
from lab.report.terminal import Terminal
from lab.search.course import RECORD, Outcome, Plan, cell_of, equalize, search
from lab.search.machines import Machines
from lab.supplies.gather import Supplies
from lab.system.files import shorten
from lab.trial.guest import HostPlace
from lab.trial.job import Job
from lab.trial.limits import alone, guests_at_once, machines_at_once
from lab.trial.machine import OwnMachine
from lab.trial.place import Place
from lab.trial.xenhost import XenHost


def begin(
    config: LabConfig, cell: Cell, plan: Plan, supplies: Supplies, results: Path, terminal: Terminal
) -> tuple[RunFolder, Outcome]:
    """Run a new search in a folder of its own below ``results``."""
    config = equalize(config, plan)
    folder = RunFolder.create(results)
    tried = [cell_of(cell, n, settings) for n, settings in enumerate(plan.candidates())]
    folder.write("config.json", config.model_dump(mode="json"))
    folder.write("plan.json", {"cells": [asdict(one) for one in tried]})
    folder.write("manifest.json", make_manifest(supplies.provenance(), f"lab search {plan.cell}"))
    folder.write(RECORD, {"plan": asdict(plan), "candidates": plan.candidates(), "rounds": []})
    job = Job(config, supplies, folder, Board(), threading.Event())
    return folder, run(job, plan, tried, terminal)


def run(job: Job, plan: Plan, tried: list[Cell], terminal: Terminal) -> Outcome:
    """All boots that the folder does not hold yet; the outcome goes into search.json.

    ``job.board`` is not shown: here a line for each round is enough.
    """
    folder = job.folder
    terminal.say(
        f"{plan.count} settings of {plan.cell}, {plan.total()} boots of {plan.seconds} s; "
        f"evidence in {shorten(folder.path)}"
    )
    record = folder.read(RECORD) | {"rounds": []}

    def report(state: dict[str, Any]) -> None:
        record["rounds"].append(state)
        folder.write(RECORD, record)
        terminal.say(f"round {state['round']}: {len(state['alive'])} settings, done")

    try:
        with _place(job, tried[0]) as (place, at_once):
            machines = Machines(job, tried, place, at_once)
            found = search(plan, machines, report)
    finally:
        folder.seal()
    folder.write(RECORD, record | {"outcome": outcome_json(found)})
    folder.seal()
    return found


@contextlib.contextmanager
def _place(job: Job, cell: Cell) -> Iterator[tuple[Place, int]]:
    """Where the boots are, and how many at once."""
    config = job.config
    if not cell.nested:
        yield OwnMachine(job.supplies, config.xen.args), machines_at_once(config, beside_host=False)
        return
    host = XenHost(job, cell.xen, cell.host)
    try:
        host.start()
        together = 1 if alone(cell.guest, job.emulates(cell)) else guests_at_once(config, cell.host)
        yield HostPlace(host), together
    finally:
        host.stop(False)


def outcome_json(found: Outcome) -> dict[str, Any]:
    """What search.json holds at the end; `better` is the key that matters."""
    return {
        "better": found.better,
        "winner": found.winner,
        "settings": found.settings,
        "comparison": asdict(found.comparison) if found.comparison else None,
        "default_in_comparison": asdict(found.default),
        "winner_in_comparison": asdict(found.best),
        "scores": {str(one): asdict(score) for one, score in found.scores.items()},
    }
