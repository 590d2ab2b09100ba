# SPDX-License-Identifier: GPL-2.0-or-later
"""Nights by simulation: how often the history sees a change that is not there, and how soon one
that is. docs/history.md has the figures.

    python -m tests.nights [SERIES]     1,000 series of 90 nights of each kind, in minutes
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from lab.history.change import Change, RateChanged, SecondsDrifted, VerdictRateChanged, find_changes
from lab.history.result import Result
from lab.verdict.severity import Verdict

NIGHTS = 90
PROMISED = 0.02  # of series of 90 unchanged nights, at most so many see any change
_BOOTS, _WINDOWS = 8, 140
Night = Callable[[random.Random, float], Result]  # its level: a rate, seconds or a share


def _result(**content: object) -> Result:
    fields: dict[str, object] = {
        "run": "", "folder": "", "began": "", "cell": "dom0-bad", "host": "nested",
        "verdict": Verdict.CORRUPTS, "reason": "", "as_expected": True, "seconds": 80.0,
    }  # fmt: skip
    return Result(**{**fields, **content})  # type: ignore[arg-type]


def boot_of(rng: random.Random, rate: float, correlation: float) -> tuple[int, int]:
    """140 windows, of which so many are hit; boots are alike in ``correlation`` (Beta-binomial)."""
    if correlation:
        size = (1 - correlation) / correlation
        rate = rng.betavariate(rate * size, (1 - rate) * size)
    return _WINDOWS, sum(rng.random() < rate for _ in range(_WINDOWS))


def corrupting(rng: random.Random, rate: float, correlation: float) -> Result:
    """Eight boots."""
    return _result(boots=tuple(boot_of(rng, rate, correlation) for _ in range(_BOOTS)))


def calibrating(rng: random.Random, rate: float, spread: float) -> Result:
    """Eight boots as a control's are: each ends with its 40th hit. Boots differ by a factor
    whose logarithm has the standard deviation ``spread``.
    """
    boots = []
    for _ in range(_BOOTS):
        own = min(0.9, rate * rng.lognormvariate(-spread * spread / 2, spread))
        windows = hits = 0
        while hits < 40 and windows < 2000:
            windows += 1
            hits += rng.random() < own
        boots.append((windows, hits))
    return _result(boots=tuple(boots))


def timed(rng: random.Random, seconds: float, spread: float = 0.15) -> Result:
    """A boot's seconds; one night in fifty was busy."""
    busy = 3.0 if rng.random() < 0.02 else 1.0
    taken = seconds * busy * rng.lognormvariate(0, spread)
    return _result(boots=((_WINDOWS, 0),), seconds=taken, verdict=Verdict.CLEAN)


def failing(rng: random.Random, share: float) -> Result:
    """A cell that is a LAB_ERROR in so many of its nights."""
    failed = rng.random() < share
    verdict = Verdict.LAB_ERROR if failed else Verdict.CLEAN
    return _result(verdict=verdict, boots=() if failed else ((_WINDOWS, 0),), seconds=0.0)


@dataclass(frozen=True)
class Story:
    """A kind of series: ``levels`` before and after the change, after which ``left`` nights come;
    the change should be seen in them in ``share`` of the series.
    """

    name: str
    night: Night
    kind: type[Change]
    levels: tuple[float, float]
    left: int = 0
    share: float = 0.0


UNCHANGED = (
    *(
        Story(f"rate {rate}, boots correlated {alike}", partial(corrupting, correlation=alike),
              RateChanged, (rate, rate))
        for rate in (0.3, 0.02) for alike in (0.0, 0.05, 0.2)
    ),
    *(
        Story(f"control, rate 0.3, boots differ by e^{spread}", partial(calibrating, spread=spread),
              RateChanged, (0.3, 0.3))
        for spread in (0.0, 0.5)
    ),
    Story("80 s, 15 % more or less", timed, SecondsDrifted, (80, 80)),
    Story("LAB_ERROR in 3 % of the nights", failing, VerdictRateChanged, (0.03, 0.03)),
)  # fmt: skip
CHANGED = (
    Story("rate 0.30 to 0.15", partial(corrupting, correlation=0.05), RateChanged,
          (0.3, 0.15), 5, 0.99),
    Story("rate 0.02 to 0.05", partial(corrupting, correlation=0.05), RateChanged,
          (0.02, 0.05), 10, 0.9),
    Story("control, rate 0.3 to 0.15, boots differ by e^0.5", partial(calibrating, spread=0.5),
          RateChanged, (0.3, 0.15), 5, 0.95),
    Story("80 s to 120 s", timed, SecondsDrifted, (80, 120), 7, 0.9),
    Story("LAB_ERROR in 3 % to 60 %", failing, VerdictRateChanged, (0.03, 0.6), 10, 0.85),
)  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """Of so many series: how many saw any change that was not there, how many saw the one that
    was, and after how many nights (the median), and how many saw it more than once.
    """

    series: int
    false: int
    seen: int
    nights: int
    twice: int


def simulate(story: Story, series: int, seed: int = 1) -> Figures:
    """``series`` histories of 90 nights."""
    rng = random.Random(seed)  # noqa: S311
    false, delays, twice = 0, [], 0
    for _ in range(series):
        calm = NIGHTS - story.left
        levels = [story.levels[0]] * calm + [story.levels[1]] * story.left
        known = _when_known(levels, story, rng)
        late = [number for number in known if number >= calm]
        false += any(number < calm for number in known)
        twice += len(late) > 1
        delays += [late[0] - calm + 1] if late else []
    middle = sorted(delays)[len(delays) // 2] if delays else 0
    return Figures(series, false, len(delays), middle, twice)


def _when_known(levels: Sequence[float], story: Story, rng: random.Random) -> list[int]:
    """The numbers of the nights after which a change was believed."""
    nights = []
    for number, level in enumerate(levels):
        night = story.night(rng, level)
        nights.append(Result(**{**vars(night), "run": str(number)}))
    return [int(c.run) for c in find_changes(nights) if isinstance(c, story.kind)]


def main(series: int) -> int:
    """Print the figures; 1 when they are worse than what is promised."""
    broken = 0
    for story in UNCHANGED:
        found = simulate(story, series)
        wrong = found.false > PROMISED * series
        broken += wrong
        print(f"unchanged  {story.name:<50} {found.false:>4} of {series} see a change"
              f"{'  MORE THAN PROMISED' if wrong else ''}", flush=True)  # fmt: skip
    for story in CHANGED:
        found = simulate(story, series)
        wrong = found.seen < story.share * series
        broken += wrong
        print(f"changed    {story.name:<50} {found.seen:>4} of {series} see it within "
              f"{story.left} nights, half of them within {found.nights}; {found.twice} twice"
              f"{'  FEWER THAN PROMISED' if wrong else ''}", flush=True)  # fmt: skip
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 1000))
