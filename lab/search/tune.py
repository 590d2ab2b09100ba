# SPDX-License-Identifier: GPL-2.0-or-later
"""`stress.search` of a run: the settings that corrupt soonest on its control's kernel."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.report.terminal import Terminal
from lab.search.course import Plan
from lab.search.halving import Settings
from lab.search.session import begin
from lab.search.table import show_outcome, words
from lab.supplies.gather import gather_showing
from lab.system.answers import cached_sha256
from lab.system.cache import cache_dir
from lab.system.files import sha256_of, write_atomic

# 22 boots in the rounds, 12 to compare: what a run has the time for.
SHORT = Plan(cell="", seed=1, count=8, boots=1, pairs=6, seconds=5)


def tune(config: LabConfig, chosen: list[Cell], results: Path) -> LabConfig:
    """The configuration with the settings found for the run's control.

    One search for a kernel, guest kind, stress program and emulator; its outcome is cached.
    All cells get these settings: a clean cell is measured by the rate of its control.
    ``results``: where the search keeps its folder.
    """
    controls = sorted((c for c in chosen if c.is_control and not c.board), key=lambda c: c.nested)
    if not controls:
        raise UserError(
            "stress.search: the run has no cell that is expected to corrupt and is not on a board"
        )
    found = _find_settings(config, controls[0], results)
    settings = {**found, **config.stress.settings}
    stress = config.stress.model_copy(update={"settings": settings, "search": False})
    return config.model_copy(update={"stress": stress})


def _find_settings(config: LabConfig, cell: Cell, results: Path) -> Settings:
    terminal = Terminal()
    supplies = gather_showing(config, [cell], terminal, [cell.id])
    kernel = supplies.kernels[cell.kernel].kernel
    key = sha256_of(
        cached_sha256(kernel.image), cached_sha256(supplies.program), cell.guest, cell.args,
        supplies.accel.name, json.dumps(config.stress.settings, sort_keys=True),
    )  # fmt: skip
    path = cache_dir() / "search" / f"{key[:16]}.json"
    if not path.is_file():
        plan = replace(SHORT, cell=cell.id)
        folder, outcome = begin(config, cell, plan, supplies, results, terminal)
        show_outcome(outcome, folder, terminal)
        found = outcome.settings if outcome.better else {}
        path.parent.mkdir(exist_ok=True)
        content = {"cell": cell.id, "settings": found, "evidence": str(folder.path)}
        write_atomic(path, json.dumps(content, indent=1) + "\n")
    kept: dict[str, Any] = json.loads(path.read_text())
    settings: Settings = kept["settings"]
    terminal.say(f"settings searched on {kept['cell']}: {words(settings)} ({kept['evidence']})")
    return settings
