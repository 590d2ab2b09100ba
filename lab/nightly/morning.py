# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done around a night: old evidence goes, pages are written, the summary is sent.

What fails here is a note; it does not change the night.
"""

from __future__ import annotations

from lab.config.lab import LabConfig
from lab.errors import LabError, UserError
from lab.history.index import open_index
from lab.history.tidy import tidy
from lab.nightly.desk import Desk
from lab.page.write import write_pages
from lab.report.notify import notify


def make_room(desk: Desk, config: LabConfig) -> None:
    """Before the night's first step: remove what `keep:` does not keep."""
    try:
        with open_index(desk.results) as index:
            done = tidy(index, config.keep)
    except (LabError, UserError) as error:
        desk.night.notes.append(f"old evidence was not removed: {error}")
        return
    if done.going:
        count = len(done.going)
        runs = "1 older run" if count == 1 else f"{count} older runs"
        desk.say(f"removed the evidence of {runs}; the verdicts stay in the history")
    if not done.enough:
        desk.night.notes.append(
            "the results take more than keep.gib, and none of it may go: it was not as expected, "
            "or is not of a night"
        )


def publish(desk: Desk, config: LabConfig, text: str) -> list[str]:
    """Pages and summary; a sentence for whatever failed."""
    problems = []
    try:
        page = write_pages(desk.results)
        desk.say(f"page      {page}")
    except (LabError, UserError, OSError) as error:
        problems.append(f"the pages were not written: {error}")
    night = desk.night
    subject = f"lab, night {night.night}: {night.sentence}"
    problems += notify(config.notify, subject, text, as_expected=night.exit_code == 0)
    for problem in problems:
        desk.say(problem)
    return problems


def report_stop(desk: Desk, config: LabConfig, why: str) -> None:
    """Send that a night stopped before its end."""
    subject = f"lab, night {desk.night.night}: stopped"
    for problem in notify(config.notify, subject, f"{subject}: {why}\n", as_expected=False):
        desk.say(problem)
