# SPDX-License-Identifier: GPL-2.0-or-later
"""Windows in which no victim woke show nothing, so they do not make a kernel look clean."""

from __future__ import annotations

from dataclasses import replace

import numpy
import pytest
from scipy import stats

from lab.config.cells import Cell
from lab.config.confidence import ConfidenceConfig
from lab.config.stress import StressConfig
from lab.verdict.cell import CellVerdict, combine, with_controls
from lab.verdict.exposure import calibrate_control
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked, Rule

CONTROL = Cell("dom0-bad", "dom0", "bad", expect="corrupts")
NEW = Cell("dom0-new", "dom0", "new", expect="clean")


def boot(windows: int, tried: int | None, struck: int = 0, hits: int | None = None) -> TrialVerdict:
    """``tried`` None: by a program that does not count them."""
    verdict = Verdict.CORRUPTS if struck or hits else Verdict.CLEAN
    seen = struck if hits is None else hits
    counted = struck if tried is not None else None
    return TrialVerdict(verdict, "", windows, windows, seen, seen, tried=tried, struck=counted)


SHARP = combine(CONTROL, [boot(90, 50, n) for n in (30, 32, 34, 30, 31)])


def test_the_unit_is_what_the_control_tried() -> None:
    found = calibrate_control(SHARP.trials)
    assert found is not None
    assert (found.unit, found.windows, found.hits) == ("tried", 250, 157)


@pytest.mark.parametrize(
    "trials",
    [
        [boot(90, None, 0, hits=30)] * 5,  # an older program's console
        [boot(9000, 1, 1, hits=30)] * 5,  # hardly anybody woke in a window
        [boot(90, 50, 0, hits=30)] * 5,  # only others than the one that woke saw it
        [*[boot(90, 50, 30)] * 4, boot(90, None, 0, hits=30)],
    ],
)
def test_without_enough_of_them_it_is_all_windows(trials: list[TrialVerdict]) -> None:
    found = calibrate_control(trials)
    assert found is not None
    assert found.unit == "windows"
    assert found.windows == sum(trial.windows for trial in trials)


def test_a_boot_whose_victims_missed_every_window_is_not_a_clean_one() -> None:
    """Seen for real: two boots of 90 windows of a kernel that corrupts, and one was tried."""
    wanted = ConfidenceConfig(level=1e-5, safety=1)
    missed = combine(NEW, [boot(91, 0), boot(89, 1)])
    made = with_controls([SHARP, missed], wanted)[1]
    assert made.verdict is Verdict.VACUOUS
    assert made.reason.startswith("too little exposure: in 1 tried windows of 2 boots")
    by_windows = combine(CONTROL, [replace(t, tried=None, struck=None) for t in SHARP.trials])
    assert with_controls([by_windows, missed], wanted)[1].verdict is Verdict.CLEAN


def test_a_clean_cell_says_how_often_it_was_tried() -> None:
    made = with_controls([SHARP, combine(NEW, [boot(400, 200)] * 3)])[1]
    assert made.verdict is Verdict.CLEAN
    assert made.reason.startswith(
        "0 corruptions in 600 tried windows of 3 boots; rate below 5.0e-03 per tried window"
    )


def test_the_program_is_asked_for_them() -> None:
    rate = calibrate_control(SHARP.trials)
    rule = Rule(NEW, 3, StressConfig(), ConfidenceConfig(), False, rate)
    asked = rule.ask([], 3)
    assert asked.windows == 0
    assert 50 < asked.tried < 400
    assert rule.wants_more([boot(5000, 3)] * 3)
    assert not rule.wants_more([boot(asked.tried + 50, asked.tried)] * 3)


class Lottery:
    """Boots whose aim differs much, by lot: some try next to nothing in all their windows."""

    def __init__(self, seed: int) -> None:
        self.random = numpy.random.default_rng(seed)

    def boot(self, struck_of_tried: float, asked: Asked) -> TrialVerdict:
        aim = float(self.random.beta(0.6, 0.6)) * 0.9
        windows = tried = struck = 0
        while windows < 1000:
            windows += 1
            if self.random.random() < aim:
                tried += 1
                struck += bool(self.random.random() < struck_of_tried)
            if asked.stop and struck >= asked.stop:
                break
            if (asked.tried and tried >= asked.tried) or (
                asked.windows and windows >= asked.windows
            ):
                break
        return boot(windows, tried, struck)

    def run(self, struck_of_tried: float, level: float, by_windows: bool) -> CellVerdict:
        """A kernel that is as bad as the promise goes, beside a control, by the lab's own rule."""
        wanted = ConfidenceConfig(level=level)
        control = [self.boot(0.6, Asked(stop=40)) for _ in range(5)]
        if by_windows:
            control = [replace(t, tried=None, struck=None) for t in control]
        rate = calibrate_control(control)
        # The promise is about the level alone: no floor of boots.
        rule = Rule(NEW, 1, StressConfig(min_windows=1), wanted, False, rate)
        trials: list[TrialVerdict] = []
        while rule.wants_more(trials):
            asked = rule.ask(trials, 1)
            trials.append(self.boot(struck_of_tried, asked))
        return with_controls([combine(CONTROL, control), combine(NEW, trials)], wanted)[1]


def test_a_bad_kernel_passes_at_most_as_often_as_the_level_says() -> None:
    lottery, level, runs = Lottery(7), 1e-2, 150
    said = [lottery.run(0.06, level, by_windows=False).verdict for _ in range(runs)]
    passed = said.count(Verdict.CLEAN)
    assert stats.binomtest(passed, runs, level, alternative="greater").pvalue > 0.001
    assert said.count(Verdict.CORRUPTS) > 0.8 * runs


def test_a_clean_kernel_needs_fewer_boots_than_by_windows() -> None:
    lottery = Lottery(8)
    boots = {
        unit: [len(lottery.run(0.0, 1e-6, unit).trials) for _ in range(20)]
        for unit in (True, False)
    }
    assert sum(boots[False]) < sum(boots[True])
