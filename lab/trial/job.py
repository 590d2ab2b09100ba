# SPDX-License-Identifier: GPL-2.0-or-later
"""What all trials of one command share."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.evidence.run import RunFolder
from lab.report.board import Board
from lab.supplies.gather import Supplies


@dataclass(frozen=True)
class Job:
    """``stop`` is set by Ctrl-C: running boots are ended, no others begin."""

    config: LabConfig
    supplies: Supplies
    folder: RunFolder
    board: Board
    stop: threading.Event

    def accelerated(self, cell: Cell) -> bool:
        """Whether the cell's machine is known to run under KVM; of a real host nothing is known."""
        kind = self.config.kind_of(cell.host)
        ours = kind == "nested" or (kind == "real" and not cell.nested)
        return ours and self.supplies.accel.name == "kvm"

    def emulates(self, cell: Cell) -> bool:
        """Whether a guest sees an emulated processor, with what its SVM cannot do."""
        return self.config.kind_of(cell.host) == "nested" and self.supplies.accel.name == "tcg"
