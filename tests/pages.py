# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.pages`: how long the pages over all runs take to write, and how large they are.

A made-up history of 50 cells is written into a temporary folder, once to warm up.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from lab.page.write import write_history
from tests.helpers.history import make_history

CELLS = 50


class Figures(NamedTuple):
    """Wall and processor seconds, and bytes of all pages."""

    seconds: float
    busy: float
    size: int


def measure(nights: int, cells: int, folder: Path) -> Figures:
    """Write the pages of a made-up history."""
    runs, results = make_history(nights, cells)
    began, busy = time.monotonic(), time.process_time()
    write_history(folder, runs, results, {run.folder for run in runs if not run.removed})
    seconds, busy = time.monotonic() - began, time.process_time() - busy
    size = sum(path.stat().st_size for path in (folder / "page").iterdir())
    return Figures(seconds, busy, size)


def main() -> None:
    """Print the table."""
    before: tuple[int, int] | None = None
    print(f"{CELLS} cells\n\nnights  seconds   busy      bytes  bytes a night more")
    for nights in (1, 30, 90, 180, 360):
        with tempfile.TemporaryDirectory() as folder:
            seconds, busy, size = measure(nights, CELLS, Path(folder))
        grown = f"{(size - before[1]) / (nights - before[0]):,.0f}" if before else "-"
        print(f"{nights:>6}  {seconds:>7.2f}  {busy:>5.2f}  {size:>9,}  {grown:>18}")
        before = (nights, size)


if __name__ == "__main__":
    main()
