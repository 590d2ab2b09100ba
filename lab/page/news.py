# SPDX-License-Identifier: GPL-2.0-or-later
"""What changed in a cell's history (lab/history/change.py), as pages show it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.history.change import Change, RateChanged, find_changes
from lab.history.result import Result

_NEWEST = 120


@dataclass(frozen=True)
class News:
    """A change, the first result that is different, and the one after which it was known."""

    change: Change
    since: Result
    known: Result

    @property
    def says(self) -> str:
        """When it was known, where that is later than it began."""
        seen = "" if self.known is self.since else f"; known since {self.known.began[:10]}"
        return f"{self.change.sentence}{seen}"

    @property
    def inputs(self) -> list[tuple[str, str, str]]:
        """Of those that differ: name, what it was, what it is."""
        return [(name, a or "?", b or "?") for name, (a, b) in self.change.inputs.items()]

    @property
    def is_of_the_rate(self) -> bool:
        return isinstance(self.change, RateChanged)


def find_news(results: Sequence[Result]) -> list[News]:
    """``results``: of one cell, in the order of time. Only the newest are looked at: what changed
    long ago is not news, and to look costs the square of their number.
    """
    results = results[-_NEWEST:]
    by_run = {result.run: result for result in results}
    return [
        News(change, by_run[change.since], by_run[change.run]) for change in find_changes(results)
    ]
