# SPDX-License-Identifier: GPL-2.0-or-later
"""A place whose consoles begin with what nobody wants on a page."""

from __future__ import annotations

import threading
from pathlib import Path

from lab.console.watch import Ending
from lab.report.board import Board
from lab.trial.assignment import Assignment
from tests.helpers.history import HOSTILE
from tests.helpers.runs import FakePlace


class HostilePlace(FakePlace):
    """As FakePlace, with HOSTILE as the console's first line."""

    def boot(self, task: Assignment, path: Path, board: Board, stop: threading.Event) -> Ending:
        ending = super().boot(task, path, board, stop)
        path.write_bytes(HOSTILE.encode() + b"\n" + path.read_bytes())
        return ending
