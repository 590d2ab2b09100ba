# SPDX-License-Identifier: GPL-2.0-or-later
"""Results in columns of time: the newest nights one by one, older ones by week and by month. Pure.

So a page grows by less and less with each night. A column of several nights shows the worst of
them that was not as it should be; what was not as expected is never thinned away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from lab.history.result import Result

SINGLE = 28  # of the newest nights
_WEEKS = 26


@dataclass(frozen=True)
class Column:
    """One night (or a run that is not of a night), or several of a week or a month.

    ``nights``: their ids, the oldest first. ``day``: of the newest, YYYY-MM-DD.
    """

    nights: tuple[str, ...]
    day: str
    says: str  # the column's head, in full

    @property
    def label(self) -> str:
        """In five characters."""
        return self.day[5:]


def night_of(result: Result) -> str:
    """The id of its night; of its run where that is not of a night."""
    return result.night or result.run


def arrange(results: Iterable[Result]) -> list[Column]:
    """All columns in the order of time. ``results``: in the order of time too."""
    days: dict[str, str] = {}
    for result in results:
        days.setdefault(night_of(result), result.began[:10])
    ordered = sorted(days, key=lambda night: (days[night], night))
    single = ordered[-SINGLE:]
    older = ordered[: -len(single)] if single else []
    groups: dict[str, list[str]] = {}
    for night in older:
        groups.setdefault(_group(days[night], days[single[0]]), []).append(night)
    made = [_join(nights, days) for nights in groups.values()]
    return made + [
        Column((night,), days[night], _say_night(night, days[night])) for night in single
    ]


def _group(day: str, newest: str) -> str:
    """The week it is in, or the month where that is long ago."""
    when = _read_day(day)
    if (_read_day(newest) - when).days > 7 * _WEEKS:
        return day[:7]
    year, week, _ = when.isocalendar()
    return f"{year}W{week:02}"


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:  # a manifest without a time
        return date.min


def _join(nights: list[str], days: dict[str, str]) -> Column:
    first, last = days[nights[0]], days[nights[-1]]
    if len(nights) == 1:
        return Column((nights[0],), first, _say_night(nights[0], first))
    return Column(tuple(nights), last, f"{len(nights)} nights, {first} to {last}")


def _say_night(night: str, day: str) -> str:
    return f"{day} ({night})"


def place(columns: Sequence[Column]) -> dict[str, int]:
    """The number of each night's column."""
    return {night: number for number, column in enumerate(columns) for night in column.nights}


def choose(results: Sequence[Result]) -> Result:
    """The one that a column shows: the most severe of what is not as expected, else the newest."""
    wrong = [r for r in results if r.verdict is not None and not r.as_expected]
    if not wrong:
        return results[-1]
    return max(wrong, key=lambda r: r.verdict.severity if r.verdict is not None else -1)
