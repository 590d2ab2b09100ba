# SPDX-License-Identifier: GPL-2.0-or-later
"""A night, from its controls to its sentence: the story.

The controls show whether the lab can see. Bisects that an earlier night had no time for go on.
The jobs run in their order, what an earlier night had no time for first. A clean cell that
corrupts is booted again, kept as a capsule, and bisected with the time that is left. Everything
is in night.json before the next step begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.config.lab import LabConfig
from lab.errors import LabError, UserError
from lab.history.index import open_index
from lab.nightly import bisect, tips
from lab.nightly.compare import find_change, find_drifts
from lab.nightly.desk import Desk, DiskFullError
from lab.nightly.follow import follow
from lab.nightly.health import look
from lab.nightly.jobs import Job, keep_seen
from lab.nightly.morning import publish
from lab.nightly.night import JobRecord, Outcome
from lab.nightly.order import fits, list_left
from lab.nightly.room import make_room
from lab.nightly.runs import Ran, Wanted
from lab.nightly.summary import find_exit_code, make_sentence, write_text
from lab.system.clock import now


class Course:
    """One night at its desk. ``jobs``: those of the night, in any order."""

    def __init__(self, desk: Desk, config: LabConfig, jobs: Sequence[Job]) -> None:
        self._desk = desk
        self._config = config
        self._jobs = {job.name: job for job in jobs}

    def run(self) -> None:
        """To the end, from where night.json ends. DiskFullError, OSError and KeyboardInterrupt
        leave a night that can be continued.
        """
        desk, night = self._desk, self._desk.night
        make_room(desk, self._config.keep)
        for plan in dict.fromkeys(sight.plan for sight in night.sights):
            look(desk, plan, [job for job in self._jobs.values() if job.plan == plan])
        for carried in night.carried:
            bisect.go_on(desk, carried)
        for record in night.jobs:
            self._do(record)
        for change in night.changes:
            if change.follow and change.job in self._jobs:
                bisect.bisect(desk, self._at_tips(change.job), change)
        self._close()

    # Jobs.

    def _do(self, record: JobRecord) -> None:
        """One job, unless it is done or does not fit; then what follows from it."""
        desk = self._desk
        if record.state == "waiting" and not self._fits(record):
            record.state = "moved"
            usual = f"about {record.estimate:.0f} s" if record.estimate else "some time"
            left = max(0.0, desk.remaining())
            record.why = f"it takes {usual}, and {left:.0f} s of the night were left"
            desk.say(f"{record.job}: moved to the front of the next night: {record.why}")
            desk.save()
        if record.state in ("waiting", "running"):
            self._begin(record)
        for change in desk.night.changes:
            if change.follow and change.job == record.job:
                follow(desk, self._at_tips(record.job), change)

    def _fits(self, record: JobRecord) -> bool:
        desk = self._desk
        tried = [job for job in desk.night.jobs if job.state not in ("waiting", "moved", "blind")]
        return fits(record.estimate, desk.remaining(), not tried)

    def _begin(self, record: JobRecord) -> None:
        desk, job = self._desk, self._jobs[record.job]
        blind = desk.night.blind_controls(job.plan)
        seen = keep_seen(job, list(blind))
        if not seen:
            record.state, record.why = "blind", "; ".join(blind.values())
            desk.save()
            return
        left_out = len(job.cells) - len(seen)
        if left_out and not record.notes:
            record.notes.append(f"{left_out} cells left out: their control is blind tonight")
        earlier = record.runs[-1] if record.state == "running" and record.runs else ""
        record.continued = record.continued or record.state == "running"
        record.state = "running"
        desk.save()
        desk.say(f"\njob {record.job}: {len(seen)} cells")
        began = desk.clock()
        try:
            self._bring_up_to_date(record, job)
            ran = self._run(record, replace(self._at_tips(job.name), cells=tuple(seen)), earlier)
        except DiskFullError:
            raise  # the run is continued with the night
        except (LabError, UserError) as error:
            record.state, record.why = "failed", str(error)
            desk.say(f"{record.job}: not run: {error}")
        else:
            self._record(record, job, ran)
        record.seconds = round((record.seconds or 0.0) + desk.clock() - began, 1)
        desk.save()

    def _bring_up_to_date(self, record: JobRecord, job: Job) -> None:
        """Before the job's first boot tonight: the newest packages and commits."""
        if job.asked.newest and not record.runs:
            note = tips.refresh_packages()
            record.notes += [note] if note else []
        if job.asked.git and not record.commits:
            record.commits = tips.find_commits(job.config, job.asked.git)
        self._desk.save()

    def _at_tips(self, name: str) -> Job:
        """The job with tonight's commits."""
        job, commits = self._jobs[name], self._desk.night.job(name).commits
        return replace(job, config=tips.pin(job.config, commits))

    def _run(self, record: JobRecord, job: Job, earlier: str) -> Ran:
        desk = self._desk

        def name(folder: str) -> None:
            record.runs = [*record.runs, folder]
            desk.save()

        repeat = f"lab nightly --job {job.name}"
        wanted = Wanted(job.config, job.cells, desk.text, desk.mark(job.name), repeat)
        return desk.run(wanted, earlier, name)

    def _record(self, record: JobRecord, job: Job, ran: Ran) -> None:
        """What the run showed, and what of it is news."""
        desk, run = self._desk, ran.folder.path.name
        record.state = "cut" if ran.cut else "done"
        if ran.claims:
            record.notes.append("a claim does not hold")
        with open_index(desk.results) as index:
            results = {result.cell: result for result in index.results(run=run)}
            history = {cell: index.results(cell=cell) for cell in results}
        record.outcomes = []
        for found in ran.outcomes:
            cell, result = found.cell, results.get(found.cell.id)
            record.outcomes.append(
                Outcome(
                    cell=cell.id,
                    host=cell.host or job.config.own_host,
                    verdict=found.verdict.value if found.verdict is not None else None,
                    expect=cell.expect,
                    as_expected=found.as_expected,
                    reason=found.reason,
                    windows=found.windows,
                    hits=found.hits,
                    boots=len(found.trials),
                    seconds=round(found.seconds, 1),
                    run=run,
                    known=result.known if result is not None else None,
                )
            )
            if result is not None:
                change = find_change(result, history[cell.id], cell.is_control)
                desk.night.changes += [change] if change is not None else []

    # The end.

    def _find_drifts(self) -> list[str]:
        """What the series of tonight's cells show, each with its job's own results."""
        night, found = self._desk.night, []
        with open_index(self._desk.results) as index:
            for job in night.jobs:
                for outcome in job.outcomes if job.state == "done" else ():
                    history = index.results(cell=outcome.cell)
                    found += find_drifts(history, job.job, night.night)
        return found

    def _close(self) -> None:
        desk, night = self._desk, self._desk.night
        night.drifts = self._find_drifts()
        night.left = list_left(night)
        night.sentence = make_sentence(night)
        night.exit_code = find_exit_code(night)
        night.ended = now()
        text = write_text(night)
        desk.folder.write_summary(text)
        desk.save()
        desk.say(f"\n{text}")
        # Before the night counts as ended: one that is killed here sends its summary again.
        night.notes += publish(desk, self._config, text)
        night.state = "ended"
        desk.save()
        desk.say(f"evidence  {desk.folder.path}")
