# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab search`: boot candidates of the stress program's settings, keep a record, name the winner.

Every boot is a trial of a cell of its own in a run's folder; search.json has the plan before the
first boot and the state after each round. An interrupted search is resumed from its folder: its
course depends only on the plan and the trials' evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.search import halving
from lab.search.halving import DEFAULT, Boot, Comparison, Round, Settings

RECORD = "search.json"


@dataclass(frozen=True)
class Plan:
    """Everything that decides a search's course. ``seconds``: guest time of each boot."""

    cell: str
    seed: int
    count: int  # candidates
    boots: int  # of each in the first round
    pairs: int  # of winner and default at the end
    seconds: int

    def candidates(self) -> list[Settings]:
        return halving.candidates(self.seed, self.count)

    def rounds(self) -> list[Round]:
        return halving.rounds(self.count, self.boots)

    def total(self) -> int:
        """Boots, all together."""
        steps = self.rounds()
        return sum(len(step.candidates) * step.boots for step in steps) + 2 * self.pairs


@dataclass(frozen=True)
class Outcome:
    """What a search found. ``comparison`` None: no candidate was better than the default."""

    winner: int
    settings: Settings
    scores: dict[int, halving.Score]
    comparison: Comparison | None
    default: halving.Score
    best: halving.Score

    @property
    def better(self) -> bool:
        return self.comparison is not None and self.comparison.better


class Boots(Protocol):
    """What boots: takes candidates with boot numbers, returns the boots in the same order."""

    def __call__(self, wanted: Sequence[tuple[int, int]]) -> list[Boot]:
        """Each pair is a candidate and the number of its boot, from 1."""


def search(plan: Plan, boot: Boots, report: Callable[[dict[str, Any]], None]) -> Outcome:
    """The whole course: rounds, then winner and default in turn; ``report`` gets each round."""
    alive = tuple(range(plan.count))
    seen: dict[int, list[Boot]] = {one: [] for one in alive}
    for number, size in enumerate(plan.rounds(), 1):
        alive = alive if number == 1 else halving.survivors(
            {one: seen[one] for one in alive}, len(size.candidates)
        )  # fmt: skip
        _boot(seen, boot, alive, size.boots)
        report({"round": number, "alive": list(alive), "scores": _scores(seen)})
    best = halving.winner({one: seen[one] for one in alive})
    if best == DEFAULT:
        whole = halving.score(seen[DEFAULT])
        return Outcome(DEFAULT, {}, _score_each(seen), None, whole, whole)
    before = {one: len(seen[one]) for one in (DEFAULT, best)}
    for _ in range(plan.pairs):
        _boot(seen, boot, (DEFAULT, best), 1)
    default, other = (seen[one][before[one] :] for one in (DEFAULT, best))
    return Outcome(
        best, plan.candidates()[best], _score_each(seen), halving.compare(default, other),
        halving.score(default), halving.score(other),
    )  # fmt: skip


def _boot(seen: dict[int, list[Boot]], boot: Boots, alive: Sequence[int], times: int) -> None:
    """Add ``times`` boots of each, in turn: one of every candidate before the next of any."""
    wanted = [(one, len(seen[one]) + turn) for turn in range(1, times + 1) for one in alive]
    for (one, _), made in zip(wanted, boot(wanted), strict=True):
        seen[one].append(made)


def _score_each(seen: dict[int, list[Boot]]) -> dict[int, halving.Score]:
    return {one: halving.score(boots) for one, boots in seen.items()}


def _scores(seen: dict[int, list[Boot]]) -> dict[str, Any]:
    return {str(one): asdict(found) for one, found in _score_each(seen).items()}


def cell_of(cell: Cell, candidate: int, settings: Settings) -> Cell:
    """The cell with a candidate's settings, under a name of its own."""
    return replace(cell, id=f"{cell.id}~s{candidate:02d}", settings={**cell.settings, **settings})


def equalize(config: LabConfig, plan: Plan) -> LabConfig:
    """Make all boots equally long, however few windows they have by then."""
    stress = config.stress.model_copy(
        update={"seconds": plan.seconds, "min_windows": 1, "min_checks": 1, "windows": 0}
    )
    return config.model_copy(update={"stress": stress})
