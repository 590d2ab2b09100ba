# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab search`: from arguments to exit code."""

from __future__ import annotations

import threading
from pathlib import Path

from lab.config.cells import Cell, find_cell
from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.report.board import Board
from lab.report.terminal import Terminal
from lab.search.course import RECORD, Plan
from lab.search.session import begin, run
from lab.search.table import show_outcome
from lab.supplies.gather import gather_showing
from lab.trial.job import Job


def search(config: LabConfig, plan: Plan, results: Path) -> int:
    """`lab search CELL`: 0, or 3 when nothing corrupted."""
    cell = _find_cell(config, plan.cell)
    terminal = Terminal()
    supplies = gather_showing(config, [cell], terminal, [cell.id])
    folder, outcome = begin(config, cell, plan, supplies, results, terminal)
    return show_outcome(outcome, folder, terminal)


def resume(path: Path) -> int:
    """`lab search --resume`: finished boots stay, the others are booted."""
    folder = RunFolder.open(path)
    if not (folder.path / RECORD).is_file():
        raise UserError(f"{path}: is a run's folder, but not of a search (it has no {RECORD})")
    config = LabConfig.model_validate(folder.read("config.json"))
    plan = Plan(**folder.read(RECORD)["plan"])
    tried = [Cell(**one) for one in folder.plan()]
    terminal = Terminal()
    supplies = gather_showing(config, tried[:1], terminal, [])
    if supplies.provenance()["kernels"] != folder.manifest()["supplies"]["kernels"]:
        terminal.say("the kernel has changed since this search began: it cannot be resumed")
        return Exit.LAB_ERROR
    job = Job(config, supplies, folder, Board(), threading.Event())
    return show_outcome(run(job, plan, tried, terminal), folder, terminal)


def _find_cell(config: LabConfig, wanted: str) -> Cell:
    cell = find_cell(config, wanted)
    if cell.board:
        raise UserError(f"cell {wanted!r} is on a board: a search takes too many boots for one")
    return cell
