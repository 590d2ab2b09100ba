"""What `lab search` does, from its arguments to an exit code; and a run's wish for a search."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lab.config.cells import Cell, cells
from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.evidence.run import RunFolder
from lab.report.board import Board
from lab.report.terminal import Terminal
from lab.run.command import gathered, manifest
from lab.search.course import RECORD, Machines, Outcome, Plan, cell_of, shortened
from lab.search.course import search as course
from lab.search.halving import DEFAULT, Score, Settings
from lab.supplies.gather import Supplies
from lab.system.files import cache_dir, sha256, sha256_of, short, write_atomic
from lab.trial.limits import alone, guests_at_once, machines_at_once
from lab.trial.trial import OwnMachine, Place
from lab.trial.xenhost import HostPlace, XenHost
from lab.verdict.severity import Verdict

# What a run takes the time for: 22 boots in the rounds, 12 to compare.
SHORT = Plan(cell="", seed=1, count=8, boots=1, pairs=6, seconds=5)
HEADINGS = ("settings", "boots", "windows", "hits", "hits/s", "hits/window")


def search(config: LabConfig, plan: Plan) -> int:
    """`lab search CELL`: 0, or 3 when nothing corrupted."""
    cell = _cell(config, plan.cell)
    terminal = Terminal()
    supplies = gathered(config, [cell], terminal, [cell.id])
    folder, outcome = _searched(config, cell, plan, supplies, terminal)
    return _told(outcome, folder, terminal)


def _searched(
    config: LabConfig, cell: Cell, plan: Plan, supplies: Supplies, terminal: Terminal
) -> tuple[RunFolder, Outcome]:
    config = shortened(config, plan)
    folder = RunFolder.create()
    tried = [cell_of(cell, n, settings) for n, settings in enumerate(plan.candidates())]
    folder.write("config.json", config.model_dump(mode="json"))
    folder.write("plan.json", {"cells": [asdict(one) for one in tried]})
    folder.write("manifest.json", manifest(supplies, f"lab search {plan.cell}"))
    folder.write(RECORD, {"plan": asdict(plan), "candidates": plan.candidates(), "rounds": []})
    return folder, _run(config, plan, tried, supplies, folder, terminal)


def resume(path: Path) -> int:
    """`lab search --resume`: boots that have a verdict stay, the others are booted."""
    folder = RunFolder.open(path)
    if not (folder.path / RECORD).is_file():
        raise UserError(f"{path}: is a run's folder, but no search's (it has no {RECORD})")
    config = LabConfig.model_validate(folder.read("config.json"))
    plan = Plan(**folder.read(RECORD)["plan"])
    tried = [Cell(**one) for one in folder.plan()]
    terminal = Terminal()
    supplies = gathered(config, tried[:1], terminal, [])
    if supplies.provenance()["kernels"] != folder.manifest()["supplies"]["kernels"]:
        terminal.say("the kernel has changed since this search began: it cannot be resumed")
        return Verdict.LAB_ERROR.exit_code
    return _told(_run(config, plan, tried, supplies, folder, terminal), folder, terminal)


def tuned(config: LabConfig, chosen: list[Cell]) -> LabConfig:
    """`stress.search`: the configuration with the settings found for the run's control.

    One search for a kernel, guest kind, stress program and emulator; its outcome is remembered.
    All cells get these settings: a clean cell is measured by how its control corrupted.
    """
    controls = sorted((c for c in chosen if c.is_control), key=lambda c: c.nested)
    if not controls:
        raise UserError("stress.search: the run has no cell that is expected to corrupt")
    found = _remembered(config, controls[0])
    settings = {**found, **config.stress.settings}
    stress = config.stress.model_copy(update={"settings": settings, "search": False})
    return config.model_copy(update={"stress": stress})


def _remembered(config: LabConfig, cell: Cell) -> Settings:
    terminal = Terminal()
    supplies = gathered(config, [cell], terminal, [cell.id])
    kernel = supplies.kernels[cell.kernel].kernel
    key = sha256_of(
        sha256(kernel.image), sha256(supplies.program), cell.guest, cell.args,
        supplies.accel.name, json.dumps(config.stress.settings, sort_keys=True),
    )  # fmt: skip
    path = cache_dir() / "search" / f"{key[:16]}.json"
    if not path.is_file():
        plan = replace(SHORT, cell=cell.id)
        folder, outcome = _searched(config, cell, plan, supplies, terminal)
        _told(outcome, folder, terminal)
        found = outcome.settings if outcome.better else {}
        path.parent.mkdir(exist_ok=True)
        content = {"cell": cell.id, "settings": found, "evidence": str(folder.path)}
        write_atomic(path, json.dumps(content, indent=1) + "\n")
    kept: dict[str, Any] = json.loads(path.read_text())
    settings: Settings = kept["settings"]
    terminal.say(f"settings searched on {kept['cell']}: {words(settings)} ({kept['evidence']})")
    return settings


def _run(
    config: LabConfig,
    plan: Plan,
    tried: list[Cell],
    supplies: Supplies,
    folder: RunFolder,
    terminal: Terminal,
) -> Outcome:
    terminal.say(
        f"{plan.count} settings of {plan.cell}, {plan.total()} boots of {plan.seconds} s; "
        f"evidence in {short(folder.path)}"
    )
    record = folder.read(RECORD) | {"rounds": []}

    def tell(state: dict[str, Any]) -> None:
        record["rounds"].append(state)
        folder.write(RECORD, record)
        terminal.say(f"round {state['round']}: {len(state['alive'])} settings, done")

    # What the board would say of every boot is not the story here: `round 2: 6 settings` is.
    board = Board()
    try:
        with _place(config, tried[0], supplies, folder, board) as (place, at_once):
            machines = Machines(config, tried, supplies, folder, place, board, at_once)
            found = course(plan, machines, tell)
    finally:
        folder.seal()
    folder.write(RECORD, record | {"outcome": outcome_json(found)})
    folder.seal()
    return found


@contextlib.contextmanager
def _place(
    config: LabConfig, cell: Cell, supplies: Supplies, folder: RunFolder, board: Board
) -> Iterator[tuple[Place, int]]:
    """Where the boots are, and how many at once."""
    if not cell.nested:
        yield OwnMachine(supplies, config.xen.args), machines_at_once(config, beside_host=False)
        return
    host = XenHost(config, supplies, folder, board, threading.Event(), cell.xen)
    try:
        host.start()
        together = 1 if alone(cell.guest, host.emulated) else guests_at_once(config)
        yield HostPlace(host), together
    finally:
        host.stop(False)


def outcome_json(found: Outcome) -> dict[str, Any]:
    """What search.json says at the end; `better` is the word that matters."""
    return {
        "better": found.better,
        "winner": found.winner,
        "settings": found.settings,
        "comparison": asdict(found.comparison) if found.comparison else None,
        "default_in_comparison": asdict(found.default),
        "winner_in_comparison": asdict(found.best),
        "scores": {str(one): asdict(score) for one, score in found.scores.items()},
    }


def words(settings: Settings) -> str:
    """Settings as a person writes them."""
    return " ".join(f"{key}={value}" for key, value in settings.items()) or "as they are"


def row(name: str, score: Score) -> tuple[str, ...]:
    """A line of the closing table."""
    return (
        name, str(score.boots), f"{score.windows:,}", f"{score.hits:,}",
        f"{score.per_second:.1f}", f"{score.per_window:.3f}",
    )  # fmt: skip


def _told(found: Outcome, folder: RunFolder, terminal: Terminal) -> int:
    tried: list[Settings] = folder.read(RECORD)["candidates"]
    order = sorted(found.scores, key=lambda one: -found.scores[one].value)
    terminal.say("")
    terminal.rows(HEADINGS, [row(words(tried[one]), found.scores[one]) for one in order])
    if not any(score.hits for score in found.scores.values()):
        terminal.say("\nnothing corrupted, so nothing was learnt")
        return Verdict.VACUOUS.exit_code
    terminal.say("")
    if found.winner == DEFAULT or found.comparison is None:
        terminal.say("no settings did better than those in use")
    else:
        terminal.say("the best of the rounds against those in use, boots in turn, new seeds:")
        both = [row(words(found.settings), found.best), row(words({}), found.default)]
        terminal.rows(HEADINGS, both)
        made = found.comparison
        terminal.say(
            f"\nahead in {made.wins} of {made.pairs} pairs; by luck alone that has the chance "
            f"{made.chance:.3f}: {'better' if made.better else 'not shown to be better'}"
        )
    if found.better:
        terminal.say("for lab.yaml, under stress.settings:")
        for key, value in found.settings.items():
            terminal.say(f"    {key}: {value}")
    terminal.say(f"evidence  {short(folder.path)}")
    return 0


def _cell(config: LabConfig, wanted: str) -> Cell:
    for cell in cells(config):
        if cell.id == wanted:
            return cell
    raise UserError(f"there is no cell {wanted!r}; `lab plan` prints all of them")
