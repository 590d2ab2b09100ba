# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a trial boots, and how it reports progress."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Protocol

from lab.console.watch import Ending, Glance
from lab.evidence.trial import TrialFolder
from lab.report.board import Board
from lab.trial.assignment import Assignment
from lab.verdict.facts import TrialFacts, TrialVerdict


class Place(Protocol):
    """Where a trial boots: a QEMU of its own, or a guest on a Xen host."""

    def describe(self, task: Assignment, console: Path) -> dict[str, Any]:
        """The exact command line or configuration, before anything starts."""

    def boot(self, task: Assignment, console: Path, board: Board, stop: threading.Event) -> Ending:
        """Boot, watch, and end it; LabError when it is our fault or the host's."""

    def keep(
        self, task: Assignment, facts: TrialFacts, folder: TrialFolder, verdict: TrialVerdict
    ) -> None:
        """After a corruption: make it replayable in the trial's folder, if that is possible."""


def show(board: Board, task: Assignment, look: Glance) -> None:
    """Report a look at a console to the board."""
    if look.started:
        board.boot(task.cell.id, task.trial, "stressing")
    if look.windows or look.corruptions:
        board.counts(task.cell.id, look.windows, look.corruptions, task.trial)
