# SPDX-License-Identifier: GPL-2.0-or-later
"""What follows when a clean cell corrupts: it is booted again, and kept as a capsule.

The bisect is in lab/nightly/bisect.py: it may take the rest of the night.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from lab.config import deterministic
from lab.config.cells import Cell, control_of
from lab.errors import LabError, UserError
from lab.evidence.manifest import make_manifest
from lab.evidence.run import RunFolder
from lab.nightly.desk import Desk, DiskFullError
from lab.nightly.jobs import Job
from lab.nightly.night import Change, Part
from lab.nightly.runs import Ran, Wanted, limit
from lab.replay.hunt import Hunt, candidates
from lab.report.terminal import Terminal
from lab.supplies.gather import gather_showing
from lab.trial.job import Job as RunJob
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

_SEEDS, _SHIFTS = 4, [1, 2, 0, 3]  # half as many seeds as `lab capsule` tries


def follow(desk: Desk, job: Job, change: Change) -> None:
    """Confirm the change and search a capsule; what is done already is not done again."""
    cell = next((cell for cell in job.cells if cell.id == change.cell), None)
    if cell is None:
        return
    change.confirm = change.confirm or Part()
    if change.confirm.state == "running":
        _attempt(desk, change.confirm, lambda part: _confirm(desk, job, cell, change, part))
    change.capsule = change.capsule or Part()
    if change.capsule.state == "running":
        why = _find_obstacle(job, cell)
        if why:
            change.capsule.state, change.capsule.says = "left out", why
        else:
            _attempt(desk, change.capsule, lambda part: _search(desk, job, cell, part))
    desk.save()


def _attempt(desk: Desk, part: Part, step: Callable[[Part], None]) -> None:
    desk.save()
    if desk.remaining() <= 0:
        part.state, part.says = "cut", "no time was left for it"
        return
    try:
        step(part)
    except DiskFullError:
        raise
    except (LabError, UserError) as error:
        part.state, part.says = "failed", str(error)


def _confirm(desk: Desk, job: Job, cell: Cell, change: Change, part: Part) -> None:
    """Fresh boots of the cell beside its control."""
    control = control_of(cell, job.cells)
    chosen = [cell, *([control] if control is not None else [])]
    desk.say(f"{cell.id} corrupts and was clean in {change.since}: booting it again")
    marks = desk.mark(job.name, "confirm")
    wanted = Wanted(job.config, chosen, desk.text, marks, f"lab nightly --job {job.name}")

    def name(folder: str) -> None:
        part.run = folder
        desk.save()

    ran = desk.run(wanted, part.run, name)
    _judge(ran, cell, change, part)
    desk.say(f"  {cell.id}: {part.says}")


def _judge(ran: Ran, cell: Cell, change: Change, part: Part) -> None:
    found = next((o for o in ran.outcomes if o.cell.id == cell.id), None)
    if found is None:
        part.state, part.says = "cut", "no time was left for it"
        return
    part.state = "done"
    part.says = _say_again(found)
    if found.verdict in (Verdict.CORRUPTS, Verdict.CLEAN):
        change.confirmed = found.verdict is Verdict.CORRUPTS


def _say_again(found: CellVerdict) -> str:
    count = len(found.trials)
    boots = "1 fresh boot" if count == 1 else f"{count} fresh boots"
    seen = f"{found.hits:,} of {found.windows:,} windows hit in {boots}"
    if found.verdict is Verdict.CORRUPTS:
        return f"seen again: {seen}"
    if found.verdict is Verdict.CLEAN:
        return f"not seen again: {seen}"
    return f"{found.verdict.value if found.verdict is not None else 'impossible'}: {found.reason}"


def _find_obstacle(job: Job, cell: Cell) -> str:
    """Why no capsule is searched; empty where one is."""
    if not job.asked.capsule:
        return "not asked for (capsule: false)"
    return deterministic.impossible(cell) or ""


def _search(desk: Desk, job: Job, cell: Cell, part: Part) -> None:
    """A boot that can be repeated, among the first seeds."""
    desk.check_space()
    terminal = Terminal()
    config = deterministic.configure(job.config, _SHIFTS[0])
    supplies = gather_showing(config, [cell], terminal, [cell.id])
    folder = RunFolder.create(desk.results)
    part.run = folder.path.name
    desk.save()
    folder.write("config.json", config.model_dump(mode="json"))
    folder.write("plan.json", {"cells": [asdict(cell)]})
    manifest = make_manifest(supplies.provenance(), f"lab capsule {cell.id}")
    folder.write("manifest.json", {**manifest, **desk.mark(job.name, "capsule")})
    desk.say(f"searching a boot of {cell.id} that can be replayed")
    # A hunt sets its stop when it ends; only the limit says that it was the time.
    with limit(desk.remaining()) as end, terminal.progress():
        run = RunJob(config, supplies, folder, terminal.board, end.stop)
        tries = candidates(config.stress.seed, _SEEDS, _SHIFTS)
        try:
            found = Hunt(run, cell).run(tries)
        finally:
            folder.seal()
    part.state = "done"
    if found is not None:
        part.says = f"lab replay {found.relative_to(desk.results)}"
    elif end.reached:
        part.state, part.says = "cut", "no time was left for it"
    else:
        part.says = f"none of {_SEEDS * len(_SHIFTS)} boots that can be repeated corrupted"
    desk.say(f"  {part.says}")
