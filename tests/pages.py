# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.pages`: how long the pages over all runs take to write, and how large they are.

A made-up history of 50 cells is written into a temporary folder, once to warm up.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from lab.page.write import write_history
from tests.helpers.history import make_history

CELLS = 50


def measure(nights: int, cells: int, folder: Path) -> tuple[float, int]:
    """Seconds, and bytes of all pages."""
    runs, results = make_history(nights, cells)
    began = time.monotonic()
    write_history(folder, runs, results)
    seconds = time.monotonic() - began
    return seconds, sum(path.stat().st_size for path in (folder / "page").iterdir())


def main() -> None:
    """Print the table."""
    before: tuple[int, int] | None = None
    print(f"{CELLS} cells\n\nnights  seconds      bytes  bytes a night more")
    for nights in (1, 30, 90, 180, 360):
        with tempfile.TemporaryDirectory() as folder:
            seconds, size = measure(nights, CELLS, Path(folder))
        grown = f"{(size - before[1]) / (nights - before[0]):,.0f}" if before else "-"
        print(f"{nights:>6}  {seconds:>7.2f}  {size:>9,}  {grown:>18}")
        before = (nights, size)


if __name__ == "__main__":
    main()
