# SPDX-License-Identifier: GPL-2.0-or-later
"""From `nightly.jobs` of lab.yaml to cells, and the controls that their hosts are seen by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.config.cells import Cell, cells, control_of, on_hosts, select, with_named_hosts
from lab.config.kernel import check_trees
from lab.config.lab import LabConfig
from lab.config.load import load, plan_file
from lab.config.nightly import JobConfig, is_file_name
from lab.errors import UserError


@dataclass(frozen=True)
class Job:
    """``config``: with the job's hosts and levels; ``cells``: with the controls they need."""

    name: str
    asked: JobConfig
    path: Path  # the configuration file
    config: LabConfig
    cells: tuple[Cell, ...]

    @property
    def plan(self) -> str:
        return self.asked.plan or ""


def resolve_jobs(config: LabConfig, path: Path, only: Sequence[str] = ()) -> list[Job]:
    """All jobs, or those that ``only`` names, in the file's order.

    UserError for a job that cannot be made, or that nothing would prove.
    """
    jobs = config.nightly.jobs
    if not jobs:
        raise UserError(f"{path}: has no jobs under 'nightly:', so a night has nothing to do")
    for name in only:
        if name not in jobs:
            known = ", ".join(jobs)
            raise UserError(f"--job {name}: is not under nightly.jobs (there are {known})")
    return [_resolve(n, job, config, path) for n, job in jobs.items() if not only or n in only]


def _resolve(name: str, asked: JobConfig, config: LabConfig, path: Path) -> Job:
    where = f"nightly.jobs.{name}"
    try:
        if asked.plan is not None:
            by_name = not is_file_name(asked.plan)
            path = plan_file(asked.plan, f"{where}.plan") if by_name else Path(asked.plan)
            config = load(path)
            check_trees(config.kernels, asked.git, "git")
        if asked.hosts is not None:
            config = on_hosts(config, asked.hosts)
        elif any("@" in word for word in asked.cells):
            config = with_named_hosts(config, asked.cells)
        wanted = {"level": asked.level, "safety": asked.safety}
        change = {key: value for key, value in wanted.items() if value is not None}
        confidence = config.confidence.model_copy(update=change)
        config = config.model_copy(update={"confidence": confidence})
        chosen = select(cells(config), asked.cells)
        _check_controls(chosen)
    except (UserError, ValueError) as error:
        text = str(error)
        raise UserError(text if text.startswith(where) else f"{where}: {text}") from None
    return Job(name, asked, path, config, tuple(chosen))


def _check_controls(chosen: Sequence[Cell]) -> None:
    for cell in chosen:
        if not cell.is_control and control_of(cell, chosen) is None:
            host = f" on {cell.host}" if cell.host else ""
            raise UserError(
                f"{cell.id} has no control: no cell{host} is under expect.corrupts, so that a "
                "night could not say whether the lab can see"
            )


def find_controls(job: Job) -> list[Cell]:
    """The controls that the job's cells are measured by, each once; or are."""
    needed = [cell if cell.is_control else control_of(cell, job.cells) for cell in job.cells]
    return list({cell.id: cell for cell in needed if cell is not None}.values())


def keep_seen(job: Job, blind: Sequence[str]) -> list[Cell]:
    """The job's cells without those whose control did not corrupt tonight, by its id."""
    kept = []
    for cell in job.cells:
        control = cell if cell.is_control else control_of(cell, job.cells)
        if control is not None and control.id not in blind:
            kept.append(cell)
    return kept
