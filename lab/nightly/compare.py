# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell shows tonight beside what it showed in earlier nights: pure."""

from __future__ import annotations

from collections.abc import Sequence

from lab.history import inputs
from lab.history.change import CorruptionGone, FirstCorruption, find_changes
from lab.history.result import Result
from lab.nightly.night import Change
from lab.verdict.severity import Verdict

_OF_THE_KERNEL = (Verdict.CLEAN, Verdict.CORRUPTS)


def find_change(tonight: Result, history: Sequence[Result], is_control: bool) -> Change | None:
    """What is different from the last night that said something; None when nothing is.

    ``history``: of the same cell, the oldest first; runs of tonight and of no night do not count.
    """
    earlier = [r for r in list_series(history, tonight.job) if _is_before(r, tonight)]
    last = next((r for r in reversed(earlier) if r.verdict is not Verdict.LAB_ERROR), None)
    if last is None or last.verdict is tonight.verdict:
        return None
    good = find_good(earlier)
    was = good if good is not None and tonight.verdict is Verdict.CORRUPTS else last
    return Change(
        cell=tonight.cell,
        job=tonight.job or "",
        was=_say(was.verdict),
        now=_say(tonight.verdict),
        since=was.night or "",
        reason=tonight.reason,
        run=tonight.folder,
        good_run=good.folder if good is not None else "",
        inputs=say_changed(was, tonight),
        follow=tonight.verdict is Verdict.CORRUPTS and good is not None and not is_control,
    )


def find_good(earlier: Sequence[Result]) -> Result | None:
    """The last clean result, unless the cell has corrupted since."""
    said = [r for r in earlier if r.verdict in _OF_THE_KERNEL]
    return said[-1] if said and said[-1].verdict is Verdict.CLEAN else None


def say_changed(before: Result, after: Result) -> list[str]:
    """A line for each input that differs."""
    return inputs.say_changed(inputs.find_changed(before.inputs, after.inputs))


def find_drifts(history: Sequence[Result], job: str, night: str) -> list[str]:
    """What is believed since tonight and no single night shows: rates, seconds; in sentences."""
    found = find_changes(list_series(history, job))
    flips = (FirstCorruption, CorruptionGone)  # seen by ``find_change`` already
    fresh = [c for c in found if c.night == night and not isinstance(c, flips)]
    return [f"{c.cell}: {c.sentence}{f' ({c.beside})' if c.beside else ''}" for c in fresh]


def list_series(history: Sequence[Result], job: str | None) -> list[Result]:
    """The job's own results; or those of all jobs, as after a change of its name.

    Of a night only the first: the others confirm it.
    """
    nights = [result for result in history if result.night is not None]
    own = [result for result in nights if result.job == job]
    first: dict[str, Result] = {}
    for result in own or nights:
        first.setdefault(str(result.night), result)
    return list(first.values())


def _is_before(result: Result, tonight: Result) -> bool:
    return result.night != tonight.night and result.began <= tonight.began


def _say(verdict: Verdict | None) -> str:
    return verdict.value if verdict is not None else "impossible"
