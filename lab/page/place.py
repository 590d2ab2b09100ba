# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the pages are, and how they link to each other: relative, so that a folder can be moved.

A run's pages are in ``RUN/page``; those over all runs in ``RESULTS/page``. Pure.
"""

from __future__ import annotations

from urllib.parse import quote

from lab.evidence.run import PAGES

INDEX = "index.html"


def name_trial(cell: str, number: int) -> str:
    """The file of a trial's page; a cell's id holds no slash."""
    return f"{cell}.{number}.html"


def name_cell(cell: str) -> str:
    """The file of a cell's page."""
    return f"{cell}.html"


def link_trial(cell: str, number: int) -> str:
    """From a page in the same folder."""
    return quote(name_trial(cell, number))


def link_cell(cell: str) -> str:
    """From a page in the same folder."""
    return quote(name_cell(cell))


def link_run(folder: str) -> str:
    """From RESULTS/page to a run's page; ``folder``: relative to RESULTS."""
    return f"../{quote(folder)}/{PAGES}/{INDEX}"
