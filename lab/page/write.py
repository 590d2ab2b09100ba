# SPDX-License-Identifier: GPL-2.0-or-later
"""All pages of a results folder: RESULTS/page, and RUN/page of runs that have none yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError, UserError
from lab.evidence.run import PAGES, RunFolder
from lab.history.index import open_index
from lab.history.result import Result, Run
from lab.page.cellpage import render_cell
from lab.page.news import find_news
from lab.page.place import INDEX, name_cell
from lab.page.render import write_style
from lab.page.runpage import write_run
from lab.page.startpage import render_start
from lab.system.files import write_atomic

# What a run's files raise that another version of the lab wrote, by its rules of what is in them.
_UNREADABLE = (ValueError, TypeError, KeyError)


def write_pages(results: Path, fresh: Path | None = None) -> Path:
    """From the history and the runs' folders; returns the start page's path.

    Runs that have pages keep them, but for ``fresh``. LabError where they cannot be written.
    """
    with open_index(results) as index:
        runs, found = index.runs(), index.results()
    start = results / PAGES / INDEX
    try:
        for run in runs:
            if not run.removed:
                folder = results / run.folder
                _write_missing(folder, fresh is not None and folder.name == fresh.name)
        write_history(results, runs, found, _list_pages(results, runs))
    except OSError as error:
        raise LabError(f"{results / PAGES}: cannot be written ({error.strerror})") from None
    return start


def write_run_pages(run: Path) -> Path:
    """Of one run, over those that it has; returns its page's path.

    UserError where the folder is not a run of cells, or one that this version cannot read.
    """
    folder = RunFolder.open(run)
    for name in ("plan.json", "config.json"):
        if not (folder.path / name).is_file():
            raise UserError(f"{run}: has no {name}, so it is not a run of cells")
    try:
        write_run(folder, (folder.path.parent / PAGES / INDEX).is_file())
    except OSError as error:
        raise LabError(f"{run / PAGES}: cannot be written ({error.strerror})") from None
    except _UNREADABLE as error:
        said = str(error).partition("\n")[0]
        raise UserError(
            f"{run}: cannot be read by this version of the lab ({type(error).__name__}: {said})"
        ) from None
    return folder.path / PAGES / INDEX


def _write_missing(run: Path, anew: bool) -> None:
    there = (run / PAGES / INDEX).is_file() and not anew
    if there or not (run / "plan.json").is_file():
        return
    try:
        write_run(RunFolder.open(run), start=True)
    except (UserError, *_UNREADABLE):
        pass  # of another version, or not whole: its results are in the history


def _list_pages(results: Path, runs: Sequence[Run]) -> set[str]:
    """The folders of the runs that have a page."""
    return {run.folder for run in runs if (results / run.folder / PAGES / INDEX).is_file()}


def write_history(
    results: Path, runs: Sequence[Run], found: Sequence[Result], folders: set[str]
) -> None:
    """The start page and one for each cell; pages of cells that are not there any more go.

    ``folders``: of the runs that have a page, to which these link.
    """
    folder = results / PAGES
    folder.mkdir(parents=True, exist_ok=True)
    write_style(folder)
    by_cell: dict[str, list[Result]] = {}
    for result in found:
        by_cell.setdefault(result.cell, []).append(result)
    news = {cell: find_news(own) for cell, own in by_cell.items()}
    for cell, own in by_cell.items():
        text = render_cell(cell, own, news[cell], folders)
        write_atomic(folder / name_cell(cell), text, durable=False)
    everything = sorted(
        (item for items in news.values() for item in items), key=lambda item: item.known.began
    )
    known = {INDEX, *(name_cell(cell) for cell in by_cell)}
    for path in folder.glob("*.html"):
        if path.name not in known:
            path.unlink()
    start = render_start(found, runs, everything, results, folders)
    write_atomic(folder / INDEX, start, durable=False)
