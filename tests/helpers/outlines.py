# SPDX-License-Identifier: GPL-2.0-or-later
"""A made-up run with every verdict, and a reason that nobody wants in a report."""

from __future__ import annotations

from lab.config.cells import Cell
from lab.report.outline import Outline, make_outline
from lab.verdict.cell import CellVerdict
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict

HOSTILE = "Oops # SKIP \\ \x1b[31m\nok 99 - <b>&\x00\x0b"
MANIFEST = {
    "format": 1, "lab": "0.1.0", "rules": "c4c0", "began": "2026-11-24T20:41:37Z",
    "command": "lab run", "night": "20261124T020000Z", "job": "all",
    "machine": {"name": "bench1", "kernel": "6.18", "processor": "AMD EPYC", "cores": 2},
    "supplies": {
        "qemu": {"version": "7.2.22"}, "accelerator": {"name": "tcg"},
        "xen": {"package": "xen-hypervisor-4.17-amd64", "version": "4.17.7"},
        "kernels": {
            "bad": {"version": "6.1.192", "source": "built", "compiler": "gcc 12", "seconds": 6.5,
                    "source_package": "linux-source-6.1", "sha256": "ab", "patches": {"a": "cd"}},
            "mine": {"version": "7.0", "commit": "0123456789abcdef0123456789abcdef01234567"},
        },
    },
}  # fmt: skip


def make_cells() -> list[CellVerdict]:
    """One of each verdict without an expectation, and two with one."""
    trial = TrialVerdict(Verdict.CLEAN, "", windows=100, checks=200, hits=3, corruptions=4)
    cells = [
        CellVerdict(Cell(f"pv-{v.value}", "pv", "mine"), v, HOSTILE, (trial,), 12.3456)
        for v in Verdict
    ]
    for verdict in (Verdict.CORRUPTS, Verdict.CLEAN):
        cell = Cell(f"dom0-{verdict.value}", "dom0", "bad", expect="corrupts")
        cells.append(CellVerdict(cell, verdict, "why", (trial,)))
    return [*cells, CellVerdict(Cell("pvh-x", "pvh", "elsewhere"), None, "no SVM")]


def make_run() -> Outline:
    return make_outline("20261124T204137Z-963c", MANIFEST, make_cells())
