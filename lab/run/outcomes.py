# SPDX-License-Identifier: GPL-2.0-or-later
"""The cells' verdicts so far, and the reports that are rewritten with each of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from lab.config.cells import Cell
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.report.junit import junit
from lab.report.markdown import write_summary
from lab.report.outline import make_outline
from lab.report.table import how_sure
from lab.trial.job import Job
from lab.verdict.cell import NOT_YET, CellVerdict, with_controls
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict, exit_code


class Outcomes:
    """Safe for threads. ``facts``: for the summary, what was run on what.

    ``provisional``: more boots of the same cells follow, so a clean cell that is not sure enough
    yet is shown as clean so far.
    """

    def __init__(
        self,
        job: Job,
        cells: Sequence[Cell],
        facts: dict[str, str],
        repeat: str,
        provisional: bool = False,
    ) -> None:
        self._job = job
        self._cells = cells
        self._facts = facts
        self._repeat = repeat
        self._provisional = provisional
        self._known: dict[str, CellVerdict] = {}
        self._settled = {cell.id: threading.Event() for cell in cells}
        self._before = _read_spans(job.folder)
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def all(self) -> list[CellVerdict]:
        """Every cell's verdict so far, in the plan's order, weighed beside the controls."""
        with self._lock:
            known = dict(self._known)
        made = [
            known.get(cell.id) or CellVerdict(cell, Verdict.LAB_ERROR, NOT_YET)
            for cell in self._cells
        ]
        return with_controls(made, self._job.config.confidence)

    def exit_code(self) -> int:
        """Of the run, from the verdicts so far."""
        found = [(c.verdict, c.cell.expect) for c in self.all() if c.verdict is not None]
        return exit_code(found) if found else Exit.LAB_ERROR

    def trials_of(self, cell: Cell) -> Sequence[TrialVerdict]:
        """Waits until the cell has its verdict."""
        self._settled[cell.id].wait()
        with self._lock:
            return self._known[cell.id].trials

    def settle(self, outcome: CellVerdict) -> None:
        """Record a cell's own verdict, show and write it, and wake the cells that wait for it."""
        cell = outcome.cell.id
        with self._lock:
            self._known[cell] = outcome
        self._settled[cell].set()
        shown = next(one for one in self.all() if one.cell.id == cell)
        self._show(shown)
        self.write_reports()

    def _show(self, outcome: CellVerdict) -> None:
        name, board = outcome.cell.id, self._job.board
        if self._provisional and outcome.miss_so_far is not None:
            board.finish(name, None, f"clean so far, {how_sure(outcome.miss_so_far)}", None)
        elif outcome.verdict is None:
            board.finish(name, None, f"impossible: {outcome.reason}", None)
        else:
            board.finish(name, outcome.verdict, outcome.reason, outcome.as_expected)

    def fail(self, cells: Sequence[Cell], why: str) -> None:
        """Give LAB_ERROR to each cell without a verdict, so that no other cell waits for it."""
        for cell in cells:
            if cell.id not in self._known:
                self.settle(CellVerdict(cell, Verdict.LAB_ERROR, why))

    def fail_unforeseen(self, cells: Sequence[Cell], error: BaseException) -> None:
        """The same for a fault of ours that nobody foresaw."""
        self.fail(cells, f"internal error, {type(error).__name__}: {error}")

    def write_reports(self) -> None:
        """Write JUnit and the summary anew after every cell, so that a crash loses nothing."""
        folder = self._job.folder
        with self._writing:
            cells = self.all()
            outline = make_outline(folder.path.name, folder.manifest(), cells)
            folder.write_text("junit.xml", junit("xen-fpu-lab", cells, outline=outline))
            title = f"Run {folder.path.name}"
            folder.write_text("summary.md", write_summary(title, self._facts, cells, self._repeat))
            body: dict[str, Any] = {"cells": [cell.as_json() for cell in cells]}
            folder.write("summary.json", body)
            folder.write("schedule.json", {"spans": [*self._before, *self._list_spans()]})

    def _list_spans(self) -> list[dict[str, Any]]:
        """What ran when in this sitting, after what earlier ones of a resumed run have written."""
        offset = max((span["end"] for span in self._before), default=0.0)
        return [
            {
                **asdict(span),
                "begin": round(span.begin + offset, 2),
                "end": round(span.end + offset, 2),
            }
            for span in self._job.board.spans
        ]


def _read_spans(folder: RunFolder) -> list[dict[str, Any]]:
    if not (folder.path / "schedule.json").is_file():
        return []
    spans: list[dict[str, Any]] = folder.read("schedule.json")["spans"]
    return spans
