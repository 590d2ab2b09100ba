# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done with a night: the pages are written, the summary is sent.

What fails here is a note; it does not change the night.
"""

from __future__ import annotations

from lab.config.lab import LabConfig
from lab.errors import LabError, UserError
from lab.nightly.desk import Desk
from lab.page.write import write_pages
from lab.report.notify import notify


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
