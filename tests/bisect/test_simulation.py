# SPDX-License-Identifier: GPL-2.0-or-later
"""Noisy bisects, simulated with seeds: the promised level is kept, and what that costs.

A bad kernel's boots show the corruption in some of their windows only, and boots differ (a
boot's own rate is Gamma distributed). A clean one never shows it. The steps take the lab's own
rule: the control of a session is calibrated by its boots, a clean commit gets windows until its
miss is at the level (lab/verdict/stopping.py, lab/verdict/confidence.py). Plain `git bisect`
boots a commit once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from lab.bisect.choice import Candidate, Costs, choose
from lab.bisect.marks import Mark, Step, wrong
from lab.verdict import confidence
from lab.verdict.confidence import Boot, Calibration

BISECTS = 100
COMMITS = 1000
RATE = 0.02  # of a bad kernel's windows, in the mean over boots
SPREAD = 0.2  # squared coefficient of variation of a boot's rate
PLAIN_WINDOWS = 100  # of the one boot that a step of plain git bisect gets
CONTROL_BOOTS, CONTROL_HITS, MOST = 5, 40, 4000
BOOT_WINDOWS = 4000  # what a boot comes to within its seconds
LEVEL, SAFETY, MAX_BOOTS = 1e-6, 10.0, 12


@dataclass
class Bug:
    """Commits from ``first`` on are bad. Counts the boots and windows that were spent."""

    first: int
    chance: random.Random
    boots: int = 0
    windows: int = 0

    def boot(self, commit: int, windows: int, stop: int) -> Boot:
        """Until ``windows`` are through or ``stop`` of them were hit."""
        rate = 0.0
        if commit >= self.first:
            rate = min(1.0, RATE * self.chance.gammavariate(1 / SPREAD, SPREAD))
        done = hits = 0
        while hits < stop:
            next_hit = done + self._until_hit(rate)
            if next_hit > windows:
                done = windows
                break
            done, hits = next_hit, hits + 1
        self.boots += 1
        self.windows += done
        return Boot(done, hits)

    def _until_hit(self, rate: float) -> int:
        if rate <= 0:
            return 1 << 60
        if rate >= 1:
            return 1
        return 1 + int(math.log(1 - self.chance.random()) / math.log(1 - rate))


def plain(bug: Bug, commit: int) -> Mark:
    """One boot, and whatever it showed."""
    return Mark.BAD if bug.boot(commit, PLAIN_WINDOWS, 1).hits else Mark.GOOD


@dataclass
class Lab:
    """The steps of this lab, with the last commit as the control. ``steps``: what was marked."""

    bug: Bug
    control: list[Boot] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.control = [self._control() for _ in range(CONTROL_BOOTS)]

    def _control(self) -> Boot:
        return self.bug.boot(COMMITS - 1, MOST, CONTROL_HITS)

    def mark(self, commit: int) -> Mark:
        """A session: the control once more, beside all its boots before, and the commit."""
        self.control.append(self._control())
        rate = confidence.calibrate(self.control)
        assert rate is not None
        mark, miss = self._boots(commit, rate)
        self.steps.append(Step(str(commit), "", mark, "", "", "", miss=miss))
        return mark

    def _boots(self, commit: int, rate: Calibration) -> tuple[Mark, float]:
        done: list[int] = []
        while len(done) < MAX_BOOTS:
            wanted = max(100, confidence.find_windows(rate, SAFETY, LEVEL, done, 1))
            boot = self.bug.boot(commit, min(wanted, BOOT_WINDOWS), 1)
            if boot.hits:
                return Mark.BAD, 0.0
            done.append(boot.windows)
            if confidence.miss(rate, SAFETY, done) <= LEVEL:
                return Mark.GOOD, confidence.miss(rate, SAFETY, done)
        return Mark.SKIP, 0.0  # too little exposure


def halved(mark: Callable[[int], Mark]) -> int | None:
    """The first bad commit, as git finds it in a straight history: 0 is good, the last bad.

    None when only skipped ones are left.
    """
    good, bad, skipped = 0, COMMITS - 1, set[int]()
    while left := [commit for commit in range(good + 1, bad) if commit not in skipped]:
        middle = left[len(left) // 2]
        found = mark(middle)
        if found is Mark.BAD:
            bad = middle
        elif found is Mark.GOOD:
            good = middle
        else:
            skipped.add(middle)
    return bad if bad - good == 1 else None


@dataclass
class Tally:
    right: int = 0
    boots: int = 0
    windows: int = 0
    skips: int = 0
    worst: float = 0.0  # the largest chance of a wrong mark that a bisect stated

    def count(self, bug: Bug, found: int | None, steps: list[Step]) -> None:
        self.right += found == bug.first
        self.boots += bug.boots
        self.windows += bug.windows
        self.skips += sum(step.mark is Mark.SKIP for step in steps)
        self.worst = max(self.worst, wrong(steps))


def simulate(seed: int) -> tuple[Tally, Tally]:
    """Plain git bisect and the lab on the same bugs."""
    tallies = Tally(), Tally()
    for number in range(BISECTS):
        first = random.Random(f"{seed} {number}").randrange(1, COMMITS)  # noqa: S311
        bug = Bug(first, random.Random(f"{seed} {number} plain"))  # noqa: S311
        tallies[0].count(bug, halved(partial(plain, bug)), [])
        bug = Bug(first, random.Random(f"{seed} {number} lab"))  # noqa: S311
        lab = Lab(bug)
        assert lab.mark(0) is not Mark.BAD
        tallies[1].count(bug, halved(lab.mark), lab.steps)
    return tallies


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_does_not_decide(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    git, lab = simulate(seed)
    with capsys.disabled():
        for name, tally in (("plain git bisect", git), ("lab bisect", lab)):
            print(
                f"\n{name:<17} right in {tally.right} of {BISECTS}, "
                f"{tally.boots / BISECTS:.1f} boots and {tally.windows / BISECTS:,.0f} windows "
                f"in the mean, {tally.skips} steps skipped, wrong with at most {tally.worst:.1e}",
                end="",
            )
    assert lab.right >= 0.99 * BISECTS
    # Without this, the simulation would not show that noise is a question at all.
    assert git.right < 0.9 * BISECTS
    # Every bisect stated what it was worth: the end and some ten steps, each at the level.
    assert lab.worst <= 12 * LEVEL


def test_the_confidence_is_the_product() -> None:
    steps = [Step("a", "", Mark.GOOD, "", "", "", miss=miss) for miss in (0.1, 0.2, 0.0)]
    assert wrong(steps) == pytest.approx(1 - 0.9 * 0.8)
    assert wrong([]) == 0
    tiny = [Step("a", "", Mark.GOOD, "", "", "", miss=1e-12)] * 3
    assert wrong(tiny) == pytest.approx(3e-12)


def candidate(name: str, halves: int) -> Candidate:
    return Candidate(name, halves, 100)


@pytest.mark.parametrize(
    ("built", "costs", "wanted"),
    [
        (set(), Costs(60, 10), "git"),
        ({"near"}, Costs(60, 10), "near"),
        ({"far"}, Costs(60, 10), "git"),  # its mark says too little
        ({"far", "near"}, Costs(60, 10), "near"),
        ({"near"}, Costs(0.1, 1000), "git"),  # a build costs next to nothing
        ({"git", "near"}, Costs(60, 10), "git"),
    ],
)
def test_built_neighbours(built: set[str], costs: Costs, wanted: str) -> None:
    found = [candidate("git", 50), candidate("near", 35), candidate("far", 5)]
    assert choose("git", found, built, costs) == wanted


def test_a_commit_that_git_alone_knows_is_taken() -> None:
    """A merge base is tested though it is not among the commits in question."""
    assert choose("base", [candidate("near", 50)], {"near"}, Costs(60, 10)) == "base"
