# SPDX-License-Identifier: GPL-2.0-or-later
"""Which settings of the stress program find a corruption soonest: the search's rule. Pure.

Successive halving: candidates, the default among them, get boots of equal length in turn, so that
other load on the machine affects all of them alike. The better half enters the next round, with
more boots each. The winner is then booted in turn with the default, on new seeds. It counts as
better only when luck alone would seldom give such a difference.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

Settings = dict[str, int | str]
DEFAULT = 0  # the candidate that changes nothing; never eliminated

# Values of the program's settings that may help; the first of each is its default.
SPACE: Mapping[str, tuple[int | str, ...]] = {
    "openers": (1, 2, 3),
    "aim": (1, 0),
    "victims": (2, 1, 3),
    "naps": (2, 3),
    "victim_us": (200, 30, 60, 100, 400),
    "opener_us": (0, 300),
    "prio": (10, 0),
    "files": ("mmx,x87,sse", "mmx"),
}
LEVEL = 0.05  # the chance that luck alone makes a winner, at most


@dataclass(frozen=True)
class Boot:
    """One boot: ``seconds`` of guest time, ``hits`` are windows in which a check failed."""

    windows: int
    hits: int
    seconds: float


@dataclass(frozen=True)
class Score:
    """Of all boots of a candidate."""

    boots: int
    windows: int
    hits: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.hits / self.seconds if self.seconds else 0.0

    @property
    def per_window(self) -> float:
        return self.hits / self.windows if self.windows else 0.0

    @property
    def value(self) -> float:
        """The geometric mean of both rates, so that neither is raised at the cost of the other."""
        return math.sqrt(self.per_second * self.per_window)


@dataclass(frozen=True)
class Round:
    """Which candidates are booted, and how often; boot numbers continue from earlier rounds."""

    candidates: tuple[int, ...]
    boots: int


@dataclass(frozen=True)
class Comparison:
    """Winner and default, booted in turn. ``chance``: of such a lead by luck alone."""

    wins: int
    pairs: int
    chance: float

    @property
    def better(self) -> bool:
        return self.chance <= LEVEL


def candidates(
    seed: int, count: int, space: Mapping[str, tuple[int | str, ...]] = SPACE
) -> list[Settings]:
    """``count`` different settings: nothing changed, then one or two keys of ``space`` changed."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    single: list[Settings] = [{key: v} for key, values in space.items() for v in values[1:]]
    double: list[Settings] = [
        {**a, **b} for a, b in product(single, single) if next(iter(a)) < next(iter(b))
    ]
    draw.shuffle(single)
    draw.shuffle(double)
    # Half of either, to see what one key does and what two do together.
    mixed = [one for pair in zip(single, double, strict=False) for one in pair]
    rest = double[len(single) :]
    return [{}, *[*mixed, *rest][: max(0, count - 1)]]


def rounds(count: int, boots: int) -> list[Round]:
    """The sizes of all rounds: candidates, and boots of each; known before any boot."""
    made = []
    alive = count
    while True:
        made.append(Round(tuple(range(alive)), boots))
        if alive <= 2:
            return made
        alive, boots = max(2, math.ceil(alive / 2)), boots + 1


def score(boots: Sequence[Boot]) -> Score:
    """The boots of a candidate as one."""
    return Score(
        len(boots),
        sum(b.windows for b in boots),
        sum(b.hits for b in boots),
        sum(b.seconds for b in boots),
    )


def rank(boots: Mapping[int, Sequence[Boot]]) -> list[int]:
    """Candidates, the best first; where equal, the one with fewer changes (a lower number)."""
    return sorted(boots, key=lambda one: (-score(boots[one]).value, one))


def survivors(boots: Mapping[int, Sequence[Boot]], keep: int) -> tuple[int, ...]:
    """The best ``keep``; the default is always among them, for the comparison."""
    best = rank(boots)[:keep]
    if DEFAULT not in best:
        best = [*best[: keep - 1], DEFAULT]
    return tuple(sorted(best))


def winner(boots: Mapping[int, Sequence[Boot]]) -> int:
    """The best of all."""
    return rank(boots)[0]


def compare(default: Sequence[Boot], other: Sequence[Boot]) -> Comparison:
    """Compare boots in pairs, adjacent in time. The exact one-sided sign test, ties left out."""
    pairs = [(score([d]).value, score([o]).value) for d, o in zip(default, other, strict=True)]
    untied = [(d, o) for d, o in pairs if d != o]
    wins = sum(o > d for d, o in untied)
    n = len(untied)
    chance = sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n
    return Comparison(wins, n, chance)
