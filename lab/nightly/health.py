# SPDX-License-Identifier: GPL-2.0-or-later
"""Can the lab see tonight? The controls of every host are booted before anything else.

What a host's control does not show tonight, no other cell of that host can be said not to have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lab.board.health import find_fault
from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.config.nightly import HEALTH
from lab.errors import LabError, UserError
from lab.nightly.desk import Desk, DiskFullError
from lab.nightly.jobs import Job, find_controls
from lab.nightly.night import Sight
from lab.nightly.runs import Ran, Wanted
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict


def list_sights(jobs: Sequence[Job]) -> list[Sight]:
    """What has to be seen before the jobs' cells mean something; each once: pure."""
    found: dict[tuple[str, str], Sight] = {}
    for job in jobs:
        for cell in find_controls(job):
            host = cell.host or job.config.own_host
            sight = Sight(host=host, control=cell.id, plan=job.plan)
            found.setdefault((job.plan, cell.id), sight)
    return list(found.values())


def hasten(config: LabConfig) -> LabConfig:
    """For a look at the controls alone: the first corruption is enough.

    One silent boot is not blindness, so there are as many as a control has in a run.
    """
    stress = config.stress.model_copy(update={"stop": "auto", "search": False})
    boots = max(config.trials, config.confidence.control_boots)
    change = {"stress": stress, "trials": boots, "claims": {}, "icount": None}
    return config.model_copy(update=change)


def judge_sight(sight: Sight, outcome: CellVerdict | None) -> None:
    """Write down what the control showed."""
    if outcome is not None and outcome.verdict is Verdict.CORRUPTS:
        sight.state, sight.why = "sees", ""
        return
    sight.state = "blind"
    if outcome is None:
        sight.why = "it was not booted"
    elif outcome.verdict is None:
        sight.why = f"impossible here: {outcome.reason}"
    else:
        sight.why = f"{outcome.verdict.value}: {outcome.reason}"


def look(desk: Desk, plan: str, jobs: Sequence[Job]) -> None:
    """Boot the controls of a plan's jobs, and write down which of them corrupt tonight."""
    sights = [sight for sight in desk.night.sights if sight.plan == plan]
    controls = {cell.id: cell for job in jobs for cell in find_controls(job)}
    config = jobs[0].config
    _leave_pool(desk, sights, controls, config)
    waiting = [sight for sight in sights if sight.state == "not yet"]
    if waiting:
        _boot(desk, waiting, controls, config)
    for sight in sights:
        if sight.state == "blind":
            desk.say(f"BLIND: {sight.control} on {sight.host}: {sight.why}")
    desk.save()


def _leave_pool(
    desk: Desk, sights: Sequence[Sight], controls: Mapping[str, Cell], config: LabConfig
) -> None:
    """Boards that failed their last check are not booted at all."""
    for sight in sights:
        board = controls[sight.control].board
        why = find_fault(board, config.boards[board]) if board else None
        if why is not None and sight.state == "not yet":
            sight.state, sight.why = "blind", f"LAB_ERROR: {why}"
            desk.night.out_of_pool[board] = why


def _boot(
    desk: Desk, sights: Sequence[Sight], controls: Mapping[str, Cell], config: LabConfig
) -> None:
    try:
        ran = _run(desk, sights, controls, config)
    except DiskFullError:
        raise
    except (LabError, UserError) as error:
        for sight in sights:
            sight.state, sight.why = "blind", f"LAB_ERROR: {error}"
        return
    found = {outcome.cell.id: outcome for outcome in ran.outcomes}
    for sight in sights:
        judge_sight(sight, found.get(sight.control))
        board = controls[sight.control].board
        if board and sight.why.startswith(Verdict.LAB_ERROR.value):
            desk.night.out_of_pool[board] = sight.why


def _run(
    desk: Desk, sights: Sequence[Sight], controls: Mapping[str, Cell], config: LabConfig
) -> Ran:
    chosen = [replace(controls[s.control], added_as_control=False) for s in sights]
    words = " ".join(cell.id for cell in chosen)
    desk.say(f"can the lab see tonight? {words}")

    def name(folder: str) -> None:
        for sight in sights:
            sight.run = folder
        desk.save()

    marks = desk.mark(HEALTH)
    wanted = Wanted(hasten(config), chosen, desk.text, marks, f"lab run {words}")
    return desk.run(wanted, sights[0].run, name)
