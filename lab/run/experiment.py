# SPDX-License-Identifier: GPL-2.0-or-later
"""A run of cells into a folder: all of `lab run`, or a step of a bisect or a validation."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lab.config.cellname import is_cluster
from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.config.spread import goes
from lab.errors import LabError, UserError
from lab.evidence.manifest import make_manifest
from lab.evidence.run import RunFolder
from lab.report.terminal import Terminal
from lab.run.outcomes import Outcomes
from lab.run.schedule import Schedule
from lab.supplies.gather import Supplies, gather_showing
from lab.system.clock import now
from lab.system.machine import cores, name_system, processor
from lab.trial.job import Job
from lab.verdict.cell import CellVerdict

if TYPE_CHECKING:
    from lab.cluster.fleet import Fleet


def run_experiment(
    config: LabConfig,
    chosen: list[Cell],
    folder: RunFolder,
    terminal: Terminal,
    keep_host: bool,
    repeat: str,
    provisional: bool = False,
    stop: threading.Event | None = None,
    marks: Mapping[str, str] | None = None,
) -> list[CellVerdict]:
    """Gather, and run into ``folder``; returns the cells' verdicts.

    ``terminal`` shows the progress and should be a new one for each step. Raises
    KeyboardInterrupt after Ctrl-C or when ``stop`` was set; the folder then holds what was done,
    and `lab run --resume` could resume it. ``provisional``: as in Outcomes. ``marks``: more for
    the manifest.
    """
    supplies = gather_showing(config, chosen, terminal, [])
    record_plan(folder, config, chosen, supplies, repeat, marks)
    job = Job(config, supplies, folder, terminal.board, stop or threading.Event())
    outcomes = execute(job, chosen, terminal, keep_host, repeat, provisional)
    if job.stop.is_set():
        raise KeyboardInterrupt
    return outcomes.all()


def record_plan(
    folder: RunFolder,
    config: LabConfig,
    chosen: list[Cell],
    supplies: Supplies,
    repeat: str,
    marks: Mapping[str, Any] | None = None,
) -> None:
    """Write what will be run, before anything is. ``marks``: more for the manifest."""
    folder.write("config.json", config.model_dump(mode="json"))
    folder.write("plan.json", {"cells": [asdict(cell) for cell in chosen]})
    folder.write("manifest.json", {**make_manifest(supplies.provenance(), repeat), **(marks or {})})


@contextlib.contextmanager
def open_machines(
    config: LabConfig, cells: Sequence[Cell], terminal: Terminal
) -> Iterator[Fleet | None]:
    """The machines of the cluster as long as the block; None where no cell goes to one."""
    if config.cluster.address is None or not any(goes(c) or is_cluster(c.host) for c in cells):
        yield None
        return
    from lab.cluster.fleet import open_fleet  # other runs do without it

    if config.icount is not None:
        raise UserError("deterministic boots stay on this machine: --cluster no, or without icount")
    asking = Terminal(terminal.console)
    terminal.say(f"asking the machines of {config.cluster.address}")
    with open_fleet(config.cluster, config.host.accelerator, asking.board.state) as fleet:
        yield fleet


class KernelsChangedError(LabError):
    """A kernel is not the one with which a run began: the run cannot be resumed."""


def reopen(folder: RunFolder, terminal: Terminal, stop: threading.Event) -> tuple[Job, list[Cell]]:
    """An interrupted run's job and all its cells; what has a verdict is not run again.

    Notes the time in its manifest. KernelsChangedError where its boots would not go together.
    """
    config = LabConfig.model_validate(folder.read("config.json"))
    chosen = [Cell(**cell) for cell in folder.plan()]
    supplies = gather_showing(config, chosen, terminal, [])
    began = folder.manifest()
    if supplies.provenance()["kernels"] != began["supplies"]["kernels"]:
        raise KernelsChangedError(
            "the kernels have changed since this run began: it cannot be resumed"
        )
    began.setdefault("resumed", []).append(now())
    folder.write("manifest.json", began)
    return Job(config, supplies, folder, terminal.board, stop), chosen


def execute(
    job: Job,
    chosen: list[Cell],
    terminal: Terminal,
    keep_host: bool,
    repeat: str,
    provisional: bool = False,
    fleet: Fleet | None = None,
) -> Outcomes:
    """Run what has no verdict in the folder yet; ``job.stop`` is set when it was interrupted."""
    outcomes = Outcomes(job, chosen, describe(job.supplies), repeat, provisional)
    with terminal.progress():
        Schedule(job, chosen, outcomes, keep_host, fleet).execute()
    return outcomes


def describe(supplies: Supplies) -> dict[str, str]:
    """What is run, and on what, for the summary and the claims' page."""
    kernels = "; ".join(f"{n} is {b.image.version}" for n, b in supplies.kernels.items())
    facts = {
        "machine": f"{processor()}, {cores()} cores, {name_system()}",
        "QEMU": f"{supplies.qemu.version}, {supplies.accel.name} ({supplies.accel.why})",
        "kernels": kernels,
    }
    if supplies.xen:
        facts["Xen"] = f"{supplies.xen.package} {supplies.xen.version}"
    elif supplies.image:
        facts["Xen"] = ", ".join(supplies.image.hypervisor())
    facts |= {f"Xen {n}": f"{x.package} {x.version} {x.args}" for n, x in supplies.xens.items()}
    return facts
