# SPDX-License-Identifier: GPL-2.0-or-later
"""One execution of a cell, from kernel and ramdisk to the verdict: the lab's story.

lab.yaml -> plan (cells) -> kernel + ramdisk -> host -> guest -> console records
-> trial verdict -> cell verdict -> results/ -> JUnit, page
"""

from __future__ import annotations

from lab.config.cells import Cell
from lab.console.watch import Ending
from lab.errors import LabError
from lab.evidence.trial import TrialFolder
from lab.trial.assignment import Assignment, gather_facts, make_assignment
from lab.trial.job import Job
from lab.trial.place import Place
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked
from lab.verdict.trial import judge


def run_trial(job: Job, cell: Cell, number: int, place: Place, asked: Asked) -> TrialVerdict:
    """Boot the cell once, keep its console, judge it."""
    reading = job.supplies.kernels[cell.kernel].kernel.reading
    facts = gather_facts(cell, number, job.config, reading)
    task = make_assignment(job, cell, facts, asked)
    folder = job.folder.trial(cell.id, number)
    folder.open(facts, place.describe(task, folder.console))
    folder.write_ending(_boot(job, place, task, folder))
    verdict = judge(facts, folder.read_console(), folder.ending())
    if verdict.verdict is Verdict.CORRUPTS:
        place.keep(task, facts, folder, verdict)
    folder.write_verdict(verdict)
    job.board.end_boot(cell.id, number)
    return verdict


def _boot(job: Job, place: Place, task: Assignment, folder: TrialFolder) -> Ending:
    if job.stop.is_set():
        return Ending("interrupted", "interrupted before it began")
    try:
        return place.boot(task, folder.console, job.board, job.stop)
    except LabError as error:
        return Ending("lab_error", str(error))
