# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.helpers.nightchild FOLDER CELL COUNT`: a night that a test kills.

The boot of that number of the cell writes FOLDER/reached and then waits to be killed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lab.config.cells import Cell
from tests.helpers.nightlab import BAD, CLEAN, set_up


def main(folder: Path, wanted: str, count: int) -> None:
    """Every cell corrupts but ``other``; ``mine`` was clean before."""

    def script(cell: Cell, number: int) -> dict[str, Any]:
        if (cell.id, number) == (wanted, count):
            (folder / "reached").touch()
            time.sleep(3600)
        return CLEAN if cell.kernel == "other" else BAD

    lab = set_up(folder, pytest.MonkeyPatch(), script)
    lab.at = float((folder / "at").read_text())
    lab.night()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
