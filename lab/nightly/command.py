# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab nightly`: one night, from arguments to exit code."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.exitcodes import Exit
from lab.nightly import bisect
from lab.nightly.course import Course
from lab.nightly.desk import Desk, DiskFullError, explain_full
from lab.nightly.folder import NightFolder, list_nights, read_nights
from lab.nightly.health import list_sights
from lab.nightly.jobs import resolve_jobs
from lab.nightly.lock import BusyError, hold_machine
from lab.nightly.morning import report_stop
from lab.nightly.night import JobRecord, Night
from lab.nightly.order import estimate, find_left, fits, list_left, sort_jobs
from lab.nightly.summary import write_text
from lab.report.terminal import Terminal
from lab.system.clock import now
from lab.system.files import shorten

SAME_NIGHT = 20 * 3600.0  # an unfinished night that began longer ago is given up
_LOOKED_AT = 10  # of so many nights, the newest, one may be unfinished
Clock = Callable[[], float]


def run(
    config: LabConfig,
    path: Path,
    results: Path,
    only: Sequence[str],
    repeat: str,
    clock: Clock = time.time,
) -> int:
    """One night; its exit code. An unfinished one of today is continued."""
    terminal = Terminal()
    resolve_jobs(config, path, only)  # what is wrong is said before anything is written
    try:
        with hold_machine():
            return _run(config, path, results, only, repeat, clock, terminal)
    except BusyError as error:
        terminal.say(f"lab: {error}")
        return Exit.BUSY
    except OSError as error:
        raise explain_full(error, results) from error


def _run(
    config: LabConfig,
    path: Path,
    results: Path,
    only: Sequence[str],
    repeat: str,
    clock: Clock,
    terminal: Terminal,
) -> int:
    folder = _find_unfinished(results, only, clock())
    if folder is None:
        folder = _begin(config, path, results, only, repeat, clock())
        night = folder.read()
        terminal.say(f"night {night.night}; evidence in {shorten(folder.path)}")
    else:
        night = folder.read()
        night.resumed = [*night.resumed, now()]
        config = folder.read_config()
        terminal.say(f"continuing night {night.night}; evidence in {shorten(folder.path)}")
    text = (folder.path / "lab.yaml").read_text()
    jobs = resolve_jobs(config, Path(night.config), night.only)
    desk = Desk(results, folder, night, text, clock, terminal.say)
    desk.save()
    try:
        Course(desk, config, jobs).run()
    except (DiskFullError, OSError) as error:
        stopped = explain_full(error, results) if isinstance(error, OSError) else error
        report_stop(desk, config, str(stopped))
        raise stopped from error
    except KeyboardInterrupt:
        terminal.say(f"interrupted; `{repeat}` continues this night")
        return Exit.INTERRUPTED
    assert night.exit_code is not None
    return night.exit_code


def _find_unfinished(results: Path, only: Sequence[str], at: float) -> NightFolder | None:
    """A night of today that was cut off; older ones are given up."""
    for folder in reversed(list_nights(results)[-_LOOKED_AT:]):
        try:
            night = folder.read()
        except UserError:
            continue
        if night.state != "running":
            continue
        if at - night.start > SAME_NIGHT:
            night.state, night.sentence = "given up", "it was cut off and not continued"
            night.left = list_left(night)
            folder.write(night)
        elif night.only == list(only):
            return folder
    return None


def _begin(
    config: LabConfig, path: Path, results: Path, only: Sequence[str], repeat: str, at: float
) -> NightFolder:
    """A new night's folder with all that it is to do."""
    earlier = read_nights(results)
    jobs = resolve_jobs(config, path, only)
    names = sort_jobs([job.name for job in jobs], find_left(earlier))
    folder = NightFolder.create(results, at)
    night = Night(
        night=folder.id,
        began=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        start=at,
        budget=config.nightly.seconds,
        command=repeat,
        config=str(path.absolute()),
        only=list(only),
        sights=list_sights(jobs),
        jobs=[JobRecord(job=name, estimate=estimate(name, earlier)) for name in names],
        carried=bisect.list_left(earlier),
        left=find_left(earlier),
    )
    folder.write_config(path.read_text() if path.is_file() else "", config)
    folder.write(night)
    return folder


def describe(config: LabConfig, path: Path, results: Path, only: Sequence[str]) -> None:
    """`lab nightly --dry-run`: what would run, and how long it took in earlier nights."""
    terminal = Terminal()
    earlier = read_nights(results)
    jobs = {job.name: job for job in resolve_jobs(config, path, only)}
    left = find_left(earlier)
    remaining = config.nightly.seconds
    rows: list[tuple[str, ...]] = []
    for carried in bisect.list_left(earlier):
        rows.append((f"bisect of {carried.cell}", "-", "not known", "goes on, first"))
    for number, name in enumerate(sort_jobs(list(jobs), left)):
        usual = estimate(name, earlier)
        fitting = fits(usual, remaining, number == 0)
        says = "fits" if fitting else "moved to the next night"
        says = f"{says}, left over from the last night" if name in left else says
        rows.append((name, str(len(jobs[name].cells)), _say_seconds(usual), says))
        remaining -= (usual or 0.0) if fitting else 0.0
    terminal.rows(("job", "cells", "seconds", "tonight"), rows, numbers=False)
    controls = ", ".join(f"{s.control} on {s.host}" for s in list_sights(list(jobs.values())))
    terminal.say(f"\nfirst the controls: {controls}")
    terminal.say(f"time of the night: {config.nightly.budget}; nothing was run")


def _say_seconds(seconds: float | None) -> str:
    return f"about {seconds:.0f}" if seconds is not None else "not known"


def show(results: Path) -> int:
    """`lab nightly status`: the newest night on one screen; its exit code."""
    terminal = Terminal()
    nights = read_nights(results)
    if not nights:
        terminal.say(f"there are no nights in {shorten(results)}")
        return Exit.OK
    night = nights[-1]
    terminal.say(write_text(night).rstrip())
    return Exit.OK if night.exit_code is None else night.exit_code
