# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs first, how long it may take, and what does not fit into a night: pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from lab.nightly.night import Night

_NIGHTS = 5  # of so many the median is taken
_NOT_DONE = ("waiting", "running", "moved", "cut")


def sort_jobs(names: Sequence[str], first: Sequence[str]) -> list[str]:
    """The jobs that an earlier night had no time for, then the others in the file's order."""
    front = [name for name in dict.fromkeys(first) if name in names]
    return [*front, *(name for name in names if name not in front)]


def find_left(earlier: Sequence[Night]) -> list[str]:
    """Jobs that come first in the next night. ``earlier``: the oldest first."""
    return list_left(earlier[-1]) if earlier else []


def list_left(night: Night) -> list[str]:
    """What a night leaves: its own jobs that are not done, and what it was left and did not try."""
    not_done = [job.job for job in night.jobs if job.state in _NOT_DONE]
    tried = [job.job for job in night.jobs]
    return [*not_done, *(name for name in night.left if name not in tried)]


def estimate(job: str, earlier: Sequence[Night]) -> float | None:
    """Seconds that a job took in the newest nights in which it ended; None when unknown."""
    known = [
        record.seconds
        for night in earlier
        for record in night.jobs
        if record.job == job and record.state == "done" and not record.continued
        if record.seconds is not None
    ]
    return round(median(known[-_NIGHTS:]), 1) if known else None


def fits(estimated: float | None, remaining: float, first: bool) -> bool:
    """Whether a job is begun. The first one is, however long: it would never be run otherwise."""
    if remaining <= 0:
        return False
    return first or estimated is None or estimated <= remaining
