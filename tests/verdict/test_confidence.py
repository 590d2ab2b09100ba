# SPDX-License-Identifier: GPL-2.0-or-later
"""The number of a pass: exact where it can be checked by hand, and held to its promise by lot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy
import pytest
from scipy import stats

from lab.config.cells import Cell
from lab.config.confidence import ConfidenceConfig
from lab.config.kinds import Expectation
from lab.config.stress import StressConfig
from lab.verdict.cell import CellVerdict, combine, with_controls
from lab.verdict.confidence import MOST_WINDOWS, Boot, bound, calibrate, find_windows, miss
from lab.verdict.exposure import calibrate_control as calibration
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked, Rule

ALIKE = [Boot(100, 40)] * 5


def test_boots_that_agree_give_the_exact_interval_but_for_their_number() -> None:
    found = calibrate(ALIKE)
    assert found is not None
    assert found.rate == 0.4
    assert found.spread == 0
    # Korn and Graubard: no design effect here, only Student's factor for five clusters.
    size = 500 * (stats.t.ppf(0.95, 499) / stats.t.ppf(0.95, 4)) ** 2
    assert found.lower == pytest.approx(stats.beta.ppf(0.05, 0.4 * size, 0.6 * size + 1))
    assert found.upper == pytest.approx(stats.beta.ppf(0.95, 0.4 * size + 1, 0.6 * size))


def test_boots_that_differ_widen_it_and_are_not_pooled_away() -> None:
    alike, differ = calibrate(ALIKE), calibrate([Boot(100, n) for n in (5, 20, 40, 60, 75)])
    assert alike is not None
    assert differ is not None
    assert alike.rate == differ.rate
    assert differ.lower < alike.lower / 1.5
    assert miss(differ, 10, [500]) > 100 * miss(alike, 10, [500])


def test_a_boot_without_a_hit_counts() -> None:
    whole, dead = calibrate(ALIKE), calibrate([*ALIKE[:4], Boot(1000, 0)])
    assert whole is not None
    assert dead is not None
    assert miss(dead, 10, [1000] * 3) > 1e4 * miss(whole, 10, [1000] * 3)


@pytest.mark.parametrize("boots", [[], [Boot(100, 40)], [Boot(100, 0)] * 5, [Boot(0, 0)] * 5])
def test_no_rate_is_made_of_too_little(boots: list[Boot]) -> None:
    assert calibrate(boots) is None


def test_every_window_hit_does_not_divide_by_zero() -> None:
    found = calibrate([Boot(50, 51)] * 3)
    assert found is not None
    assert (found.rate, found.upper) == (1, 1)


@pytest.mark.parametrize("boots", [ALIKE, [Boot(100, n) for n in (36, 40, 44)]])
def test_what_is_needed_is_what_reaches_the_level(boots: list[Boot]) -> None:
    found = calibrate(boots)
    assert found is not None
    each = find_windows(found, 10, 1e-6, [], 3)
    assert miss(found, 10, [each] * 3) <= 1e-6 < miss(found, 10, [each - 2] * 3)
    assert find_windows(found, 10, 1e-6, [each] * 3, 1) == 0
    assert find_windows(found, 10, 1e-300, [1], 1) <= MOST_WINDOWS


def test_without_spread_it_is_the_plain_exponential() -> None:
    found = calibrate(ALIKE)
    assert found is not None
    assert miss(found, 10, [200, 300]) == pytest.approx(math.exp(-found.lower / 10 * 500))


def test_the_bound_of_nothing_seen() -> None:
    assert bound(100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert bound(0) == 1


# -- the rule by lot ---------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """How bugs behave: ``differ`` is the standard deviation of the log of a boot's rate."""

    rate: float = 0.3
    differ: float = 0.0
    seconds_windows: int = 1000  # a boot's budget


class Lottery:
    """Boots drawn by lot, and runs by the lab's own rule."""

    def __init__(self, world: World, level: float, seed: int, trials: int = 1) -> None:
        self.world = world
        self.trials = trials
        self.wanted = ConfidenceConfig(level=level)
        self.random = numpy.random.default_rng(seed)

    def _rate(self, mean: float) -> float:
        spread = self.world.differ
        return min(0.95, float(mean * numpy.exp(self.random.normal(-(spread**2) / 2, spread))))

    def control(self) -> CellVerdict:
        cell = Cell("dom0-bad", "dom0", "bad", expect="corrupts")
        trials = [self._boot(self._rate(self.world.rate), Asked(0, 40)) for _ in range(5)]
        return combine(cell, trials)

    def _boot(self, rate: float, asked: Asked) -> TrialVerdict:
        most = self.world.seconds_windows
        windows = min(most, asked.windows or most)
        if asked.stop and rate:
            windows = min(
                windows, int(self.random.negative_binomial(asked.stop, rate)) + asked.stop
            )
        hits = int(self.random.binomial(windows, rate)) if not asked.stop else asked.stop
        if asked.stop and windows == most:
            hits = min(hits, int(self.random.binomial(most, rate)))
        verdict = Verdict.CORRUPTS if hits else Verdict.CLEAN
        return TrialVerdict(verdict, "", windows, windows, hits, hits)

    def cell(self, mean: float) -> tuple[CellVerdict, int]:
        """A kernel of a rate, beside a control: its verdict, and after how many boots."""
        control = self.control()
        cell = Cell("dom0-new", "dom0", "new", expect="clean")
        rate = calibration(control.trials)
        # No floors of windows and boots here: the level alone shall keep the promise.
        rule = Rule(cell, self.trials, StressConfig(min_windows=1), self.wanted, False, rate)
        trials: list[TrialVerdict] = []
        while rule.wants_more(trials):
            boots = rule.batch(trials, at_once=2)
            asked = rule.ask(trials, boots)
            trials += [self._boot(self._rate(mean), asked) for _ in range(boots)]
        made = with_controls([control, combine(cell, trials)], self.wanted)[1]
        return made, len(trials)


@pytest.mark.parametrize("differ", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("level", [1e-1, 1e-2])
def test_a_bad_kernel_passes_at_most_as_often_as_the_level_says(
    differ: float, level: float
) -> None:
    """Ten times less bad than the control, which is as bad as the promise goes."""
    lottery = Lottery(World(differ=differ), level, seed=20150717)
    runs = 400
    said = [lottery.cell(lottery.world.rate / 10)[0].verdict for _ in range(runs)]
    passed = sum(verdict is Verdict.CLEAN for verdict in said)
    # The exact test of "at most the level" is not refused.
    assert stats.binomtest(passed, runs, level, alternative="greater").pvalue > 0.001
    assert said.count(Verdict.CORRUPTS) > 0.8 * runs


@pytest.mark.parametrize("differ", [0.0, 0.3])
def test_a_clean_kernel_is_called_clean_within_the_budget_and_never_bad(differ: float) -> None:
    lottery = Lottery(World(differ=differ), 1e-6, seed=1, trials=3)
    made = [lottery.cell(0.0) for _ in range(200)]
    said = [cell.verdict for cell, _ in made]
    assert said.count(Verdict.CORRUPTS) == 0
    assert said.count(Verdict.CLEAN) >= 0.95 * len(said)
    assert all(3 <= boots <= 20 for _, boots in made)


def test_pooling_would_have_broken_the_promise() -> None:
    """The same bugs, computed as if all windows were one sample: what this module is for."""
    world, level, runs = World(differ=1.5, seconds_windows=400), 1e-2, 400
    lottery = Lottery(world, level, seed=3)
    passed = {"pooled": 0, "lab": 0}
    for _ in range(runs):
        control = [Boot(t.windows, t.hits) for t in lottery.control().trials]
        rate = sum(b.hits for b in control) / sum(b.windows for b in control) / 10
        windows = math.ceil(-math.log(level) / rate)
        passed["pooled"] += lottery._boot(lottery._rate(0.03), Asked(windows)).hits == 0
        passed["lab"] += lottery.cell(0.03)[0].verdict is Verdict.CLEAN
    assert passed["pooled"] > 5 * level * runs
    assert passed["lab"] <= 2 * level * runs


# -- the rule in its parts ---------------------------------------------------------------------

CONTROL = CellVerdict(
    Cell("dom0-bad", "dom0", "bad", expect="corrupts"), Verdict.CORRUPTS, "",
    tuple(TrialVerdict(Verdict.CORRUPTS, "", 100, 100, 90, 40) for _ in range(5)),
)  # fmt: skip
CLEAN = Cell("dom0-new", "dom0", "new", expect="clean")


def clean(*windows: int) -> CellVerdict:
    return combine(CLEAN, [TrialVerdict(Verdict.CLEAN, "", n, n) for n in windows])


def test_a_clean_cell_says_its_number() -> None:
    made = with_controls([CONTROL, clean(400, 400, 400)])[1]
    assert made.verdict is Verdict.CLEAN
    assert made.miss is not None
    assert made.miss <= 1e-6
    assert made.reason.startswith(
        "0 corruptions in 1,200 windows of 3 boots; rate below 2.5e-03 per window at 95 %; a "
        "kernel 10 times less bad than dom0-bad would have been caught with probability 1 - "
    )


def test_too_little_exposure_is_vacuous() -> None:
    made = with_controls([CONTROL, clean(50, 50)])[1]
    assert made.verdict is Verdict.VACUOUS
    assert made.reason.startswith("too little exposure: in 100 windows of 2 boots")


def test_one_boot_of_the_control_gives_no_rate() -> None:
    single = CellVerdict(CONTROL.cell, Verdict.CORRUPTS, "", CONTROL.trials[:1])
    made = with_controls([single, clean(9999)])[1]
    assert made.verdict is Verdict.VACUOUS
    assert made.reason == "1 boot of dom0-bad give no rate"


def rule(
    calibrates: bool = False, stop: str = "auto", expect: Expectation | None = "clean"
) -> Rule:
    cell = Cell("dom0-x", "dom0", "x", expect=expect)
    measured = None if calibrates else calibration(CONTROL.trials)
    stress = StressConfig.model_validate({"stop": stop})
    return Rule(cell, 3, stress, ConfidenceConfig(), calibrates, measured)


def trial(verdict: Verdict, windows: int = 1000) -> TrialVerdict:
    return TrialVerdict(verdict, "", windows, windows)


@pytest.mark.parametrize("severe", [Verdict.CORRUPTS, Verdict.CRASHED, Verdict.VACUOUS])
def test_a_cell_that_has_shown_something_boots_no_more(severe: Verdict) -> None:
    assert rule().wants_more([])
    assert not rule().wants_more([trial(Verdict.CLEAN), trial(severe)])


def test_a_clean_cell_goes_on_until_it_is_sure_or_the_budget_is_spent() -> None:
    assert rule().wants_more([trial(Verdict.CLEAN)] * 2)
    assert not rule().wants_more([trial(Verdict.CLEAN)] * 3)
    assert rule().wants_more([trial(Verdict.CLEAN, 10)] * 19)
    assert not rule().wants_more([trial(Verdict.CLEAN, 10)] * 20)


def test_boots_that_are_wanted_for_sure_can_be_side_by_side() -> None:
    assert rule().batch([], at_once=2) == 3
    assert rule().batch([trial(Verdict.CLEAN)], at_once=2) == 2
    # The first boot of what may corrupt can settle it.
    assert rule(expect=None).batch([], at_once=2) == 1
    control = rule(calibrates=True, expect="corrupts")
    assert control.batch([], at_once=2) == 8
    assert control.batch([trial(Verdict.CORRUPTS)] * 7, at_once=2) == 1


def test_boots_that_are_guessed_are_no_more_than_there_is_room_for() -> None:
    poor = [trial(Verdict.CLEAN, 10)] * 3
    assert rule().batch(poor, at_once=2) == 2
    assert rule().batch([trial(Verdict.CLEAN, 10)] * 19, at_once=2) == 1  # the budget's last
    windows = rule().ask([trial(Verdict.CLEAN, 2000)] * 3).windows
    nearly = [trial(Verdict.CLEAN, 2000)] * 3
    assert rule().ask(nearly, 2).windows <= windows


def test_a_control_boots_on_although_it_has_corrupted() -> None:
    assert rule(calibrates=True).wants_more([trial(Verdict.CORRUPTS)] * 7)
    assert not rule(calibrates=True).wants_more([trial(Verdict.CORRUPTS)] * 8)
    assert rule(calibrates=True, expect="corrupts").ask([]) == Asked(0, 40)


def test_stop_never_boots_all_trials_and_first_ends_at_the_first() -> None:
    assert rule(stop="never").wants_more([trial(Verdict.CORRUPTS)])
    assert rule(stop="never").ask([]) == Asked(0, 0)
    assert rule(stop="first").ask([]).stop == 1
    assert rule(expect=None).ask([]).stop == 1


def test_our_own_fault_is_tried_once_more() -> None:
    assert rule().wants_more([trial(Verdict.LAB_ERROR)])
    assert not rule().wants_more([trial(Verdict.LAB_ERROR)] * 2)


def silence(windows: int) -> float:
    """The chance that a boot of a bad kernel shows nothing, as victims learn to aim in it."""
    return float(0.95 ** min(windows, 50) * 0.65 ** max(0, windows - 50))


def test_a_boot_shorter_than_the_controls_is_worth_less_than_its_share() -> None:
    """As seen: one window in twenty is hit at first, one in three or four after 50."""
    known = calibrate([Boot(windows, 20) for windows in (101, 81, 131, 105, 99, 82, 108)])
    assert known is not None
    windows = find_windows(known, 1, 1e-5, [], 2)
    assert miss(known, 1, [windows] * 2) <= 1e-5
    assert silence(windows) ** 2 < 1e-5
    assert silence(52) ** 2 > 1e-4  # what two boots were asked for when all windows were equal
    assert miss(known, 1, [52] * 2) > 1e-5
    assert find_windows(known, 10, 1e-6, [], 3) > known.length
