# SPDX-License-Identifier: GPL-2.0-or-later
"""Can the lab see tonight? The controls of every host are booted before anything else.

What a host's control does not show tonight, no other cell of that host can be said not to have.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.config.lab import LabConfig
from lab.nightly.jobs import Job, find_controls
from lab.nightly.night import Sight
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
    """For a look at the controls alone: the first corruption is enough."""
    stress = config.stress.model_copy(update={"stop": "auto", "search": False})
    return config.model_copy(update={"stress": stress, "claims": {}, "icount": None})


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
