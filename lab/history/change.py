# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as a change in a cell's history, each with a sentence. Pure.

``find_changes`` goes through a cell's results in the order of time and reports each change at the
run after which it is believed. docs/history.md is this in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.history.changepoint import Counts, Durations, Point, Watch
from lab.history.inputs import find_changed, say_changed
from lab.history.result import Result
from lab.verdict.severity import Verdict

_TELLING = (Verdict.CLEAN, Verdict.CORRUPTS)
_UNWANTED = (Verdict.LAB_ERROR, Verdict.CRASHED, Verdict.VACUOUS)
_FEWEST_BOOTS = 2  # of a result whose rate counts: boots differ
_FEWEST_NIGHTS = 3  # on both sides: one slow night is not a drift, one LAB_ERROR not a rate
_DRIFT_FACTOR = 1.25  # what is less is not worth a word


@dataclass(frozen=True, kw_only=True)
class Change:
    """``since``: the run of the first result that is different. ``run``: the one after which it is
    known; ``night``: that run's. ``inputs``: what differs from the result before ``since``, by
    name: what it was, and what it is.
    """

    cell: str
    run: str
    since: str
    night: str | None = None
    inputs: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        raise NotImplementedError

    @property
    def beside(self) -> str:
        """The inputs that changed, in words; empty without any."""
        return "; ".join(say_changed(self.inputs))


@dataclass(frozen=True, kw_only=True)
class FirstCorruption(Change):
    """A cell that was clean corrupts."""

    hits: int
    windows: int

    @property
    def sentence(self) -> str:
        return f"corrupts, and was clean before: {self.hits:,} of {self.windows:,} windows hit"


@dataclass(frozen=True, kw_only=True)
class CorruptionGone(Change):
    """A cell that corrupted is clean, as surely as its control makes it."""

    windows: int

    @property
    def sentence(self) -> str:
        return f"is clean, and corrupted before: no corruption in {self.windows:,} windows"


@dataclass(frozen=True, kw_only=True)
class Shifted(Change):
    """A figure of a series is another one since; ``posterior``: how surely."""

    before: float
    after: float
    posterior: float

    @property
    def sure(self) -> str:
        """The posterior, in words."""
        shown = f"{self.posterior:.2f}" if self.posterior < 0.995 else "> 0.99"
        return f"probability {shown}"


@dataclass(frozen=True, kw_only=True)
class RateChanged(Shifted):
    """The share of windows that are hit changed, with every input as it was."""

    @property
    def sentence(self) -> str:
        return f"{self.after:.3f} of its windows are hit, {self.before:.3f} before ({self.sure})"


@dataclass(frozen=True, kw_only=True)
class SecondsDrifted(Shifted):
    """A boot takes longer, or less long, with every input as it was."""

    @property
    def sentence(self) -> str:
        return f"a boot takes {self.after:.0f} s, {self.before:.0f} s before ({self.sure})"


@dataclass(frozen=True, kw_only=True)
class VerdictRateChanged(Shifted):
    """LAB_ERROR, CRASHED or VACUOUS became more, or less, frequent."""

    verdict: Verdict

    @property
    def sentence(self) -> str:
        return (
            f"{self.verdict.value} in {self.after:.0%} of its runs, {self.before:.0%} before "
            f"({self.sure})"
        )


def find_changes(results: Sequence[Result]) -> list[Change]:
    """Of one cell's results in the order of time; the changes in the order in which they were
    known.
    """
    found = [
        *_find_flips(results),
        *(change for own in _split(results) for change in _find_rates(own)),
        *(change for own in _split(results) for change in _find_drifts(own)),
        *(change for verdict in _UNWANTED for change in _find_frequencies(results, verdict)),
    ]
    order = {result.run: number for number, result in enumerate(results)}
    return sorted(found, key=lambda change: order[change.run])


def _split(results: Sequence[Result]) -> list[list[Result]]:
    """By job: each boots a cell in its own way, and the same cell in one night by turns."""
    found: dict[str | None, list[Result]] = {}
    for result in results:
        found.setdefault(result.job, []).append(result)
    return list(found.values())


def _find_flips(results: Sequence[Result]) -> Iterator[Change]:
    """From clean to corrupt and back; results that show neither do not count."""
    before: Result | None = None
    for result in results:
        if result.verdict not in _TELLING:
            continue
        if before is not None and before.verdict is not result.verdict:
            place = _place(result, result, before)
            if result.verdict is Verdict.CORRUPTS:
                yield FirstCorruption(**place, hits=result.hits, windows=result.windows)
            else:
                yield CorruptionGone(**place, windows=result.windows)
        before = result


def _find_rates(results: Sequence[Result]) -> Iterator[Change]:
    """A flip, as a changed input, begins a new series: it is reported as what it is."""
    counted = [r for r in results if r.verdict in _TELLING and len(r.boots) >= _FEWEST_BOOTS]
    if not any(hits for result in counted for _, hits in result.boots):
        return
    counts = Counts()
    for point in _watch(counted, Watch(counts), lambda result: counts.add(result.boots)):
        yield RateChanged(
            **_place_point(counted, point),
            before=counts.rate(point.start, point.at), after=counts.rate(point.at, point.seen + 1),
            posterior=point.posterior,
        )  # fmt: skip


def _find_drifts(results: Sequence[Result]) -> Iterator[Change]:
    counted = [r for r in results if r.verdict in _TELLING and r.boots and r.seconds > 0]
    each = [result.seconds / len(result.boots) for result in counted]
    if not each or max(each) < _DRIFT_FACTOR * min(each):
        return
    taken = Durations()
    watch = Watch(taken, _FEWEST_NIGHTS)
    for point in _watch(counted, watch, lambda r: taken.add(r.seconds / len(r.boots))):
        before = taken.typical(point.start, point.at)
        after = taken.typical(point.at, point.seen + 1)
        if max(before / after, after / before) >= _DRIFT_FACTOR:
            yield SecondsDrifted(
                **_place_point(counted, point), before=before, after=after,
                posterior=point.posterior,
            )  # fmt: skip


def _find_frequencies(results: Sequence[Result], verdict: Verdict) -> Iterator[Change]:
    """Whatever the inputs are: a kernel that is built anew every night can begin to crash too."""
    counted = [result for result in results if result.verdict is not None]
    if not any(result.verdict is verdict for result in counted):
        return
    counts = Counts()
    watch = Watch(counts, _FEWEST_NIGHTS)
    for number, result in enumerate(counted):
        counts.add([(1, int(result.verdict is verdict))])
        point = watch.look()
        if point is not None:
            yield VerdictRateChanged(
                **_place_point(counted, point), verdict=verdict,
                before=counts.rate(point.start, point.at), after=counts.rate(point.at, number + 1),
                posterior=point.posterior,
            )  # fmt: skip


def _watch(
    results: Sequence[Result], watch: Watch, add: Callable[[Result], None]
) -> Iterator[Point]:
    """Look after each result; a changed input or verdict begins a new series."""
    before: Result | None = None
    for result in results:
        if before is not None and (
            before.inputs != result.inputs or before.verdict is not result.verdict
        ):
            watch.restart()
        add(result)
        before = result
        point = watch.look()
        if point is not None:
            yield point


def _place_point(results: Sequence[Result], point: Point) -> dict[str, Any]:
    return _place(results[point.at], results[point.seen], results[point.at - 1])


def _place(since: Result, known: Result, before: Result) -> dict[str, Any]:
    """Of a change: the cell, where it began, where it was known, and the inputs between."""
    return {
        "cell": since.cell, "run": known.run, "since": since.run, "night": known.night,
        "inputs": find_changed(before.inputs, since.inputs),
    }  # fmt: skip
