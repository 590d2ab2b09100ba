# SPDX-License-Identifier: GPL-2.0-or-later
"""Run folders as the lab writes them, made without a boot: what the history is read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.config.cells import Cell
from lab.config.kinds import Expectation
from lab.evidence.run import FORMAT, RunFolder
from lab.verdict.cell import CellVerdict
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict

INPUTS: dict[str, Any] = {
    "rules": "a1b2c3d4e5f60718",
    "machine": {"kernel": "6.1.0-40-amd64", "processor": "AMD EPYC", "cores": 2},
    "supplies": {
        "qemu": {"version": "7.2.22", "firmware": {"bios-256k.bin": "44" * 32}},
        "accelerator": {"name": "tcg"},
        "program": {"sha256": "3899207eceb27c71cd769dc3"},
        "xen": {"package": "xen-hypervisor-4.17-amd64", "version": "4.17.7", "sha256": "075d2ef5"},
        "kernels": {
            "bad": {"version": "6.1.192", "sha256": "fa271b545875aa0b"},
            "mine": {"version": "7.1.0", "sha256": "11" * 32, "source_commit": "22" * 20},
        },
    },
}


def outcome(
    cell: str,
    verdict: Verdict | None = Verdict.CLEAN,
    boots: Sequence[tuple[int, int]] = ((500, 0), (500, 0)),
    reason: str = "as it was",
    expect: Expectation | None = None,
    seconds: float = 30.0,
) -> CellVerdict:
    """``boots``: windows and hits."""
    guest, _, kernel = cell.partition("-")
    shown = verdict if verdict is not None else Verdict.LAB_ERROR
    trials = [TrialVerdict(shown, reason, windows=w, hits=h, corruptions=2 * h) for w, h in boots]
    assert guest in ("native", "dom0", "pv")
    planned = Cell(cell, guest, kernel.partition("@")[0], expect=expect)  # type: ignore[arg-type]
    return CellVerdict(planned, verdict, reason, tuple(trials), seconds)


def control(hits: int = 150, windows: int = 500, boots: int = 8, **more: Any) -> CellVerdict:
    """The cell that is known to corrupt."""
    each = [(windows, hits)] * boots
    return outcome("dom0-bad", Verdict.CORRUPTS, each, expect="corrupts", **more)


def began(name: str) -> str:
    """The time of a folder's name."""
    day, clock = name[:8], name[9:15]
    date = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    return f"{date}T{clock[:2]}:{clock[2:4]}:{clock[4:]}Z"


def write_run(
    results: Path,
    name: str,
    cells: Sequence[CellVerdict],
    known: dict[str, str] | None = None,
    sealed: bool = True,
    **manifest: Any,
) -> RunFolder:
    """A run's folder; ``manifest``: what stands in it besides INPUTS, such as night and job."""
    (results / name).mkdir(parents=True)
    folder = RunFolder(results / name)
    first = {"format": FORMAT, "began": began(name), "command": "lab run"}
    folder.write("manifest.json", {**first, **INPUTS, **manifest})
    folder.write("plan.json", {"cells": [asdict(found.cell) for found in cells]})
    config: dict[str, Any] = {
        "host": {"kind": "nested"}, "known": known or {}, "stress": {"seconds": 12, "stop": "auto"},
    }  # fmt: skip
    folder.write("config.json", config)
    folder.write("summary.json", {"cells": [found.as_json() for found in cells]})
    folder.time("all cells", sum(found.seconds for found in cells))
    console = folder.path / "cells" / cells[0].cell.id / "1" / "console.log"
    console.parent.mkdir(parents=True)
    console.write_text("booting\n" * 200)
    if sealed:
        folder.seal()
    return folder
