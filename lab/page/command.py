# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab page`, from arguments to exit code."""

from __future__ import annotations

from pathlib import Path

from lab.page.write import write_pages, write_run_pages
from lab.report.terminal import Terminal
from lab.system.files import shorten


def page(results: Path, run: Path | None) -> None:
    """Write a run's pages, or those over all runs and of each run without pages."""
    path = write_run_pages(run) if run is not None else write_pages(results)
    Terminal().say(f"the page is {shorten(path)}")
