# SPDX-License-Identifier: GPL-2.0-or-later
"""The search for settings: its course is pure, and must find what is there and nothing else."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.config.load import parse
from lab.errors import LabError
from lab.evidence.run import RunFolder
from lab.report.board import Board
from lab.search import halving
from lab.search.course import Outcome, Plan, equalize, search
from lab.search.halving import DEFAULT, Boot
from lab.search.machines import Machines
from lab.trial.job import Job
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict

PLAN = Plan(cell="dom0-x", seed=3, count=12, boots=1, pairs=8, seconds=5)


class Simulated:
    """Boots whose windows are hit with each candidate's own chance; one differs from the next."""

    def __init__(self, chances: dict[int, float], seed: int) -> None:
        self._chances = chances
        self._draw = random.Random(seed)  # noqa: S311 (no secret)
        self.asked: list[tuple[int, int]] = []

    def __call__(self, wanted: Sequence[tuple[int, int]]) -> list[Boot]:
        self.asked += wanted
        return [self._boot(candidate) for candidate, _ in wanted]

    def _boot(self, candidate: int) -> Boot:
        chance = self._chances.get(candidate, 0.1) * self._draw.uniform(0.6, 1.4)
        windows = self._draw.randint(150, 250)
        return Boot(windows, sum(self._draw.random() < chance for _ in range(windows)), 5.0)


def course(chances: dict[int, float], seed: int = 1) -> tuple[Outcome, Simulated]:
    boots = Simulated(chances, seed)
    return search(PLAN, boots, lambda _: None), boots


def test_it_finds_settings_that_are_three_times_as_good() -> None:
    found = [course({7: 0.3}, seed)[0] for seed in range(20)]
    assert sum(one.winner == 7 for one in found) >= 18
    assert sum(one.better for one in found if one.winner == 7) >= 18


def test_luck_makes_no_winner() -> None:
    """All alike: a false winner is as rare as the level says, with room for chance here."""
    better = sum(course({}, seed)[0].better for seed in range(200))
    assert better <= 2 * halving.LEVEL * 200


def test_the_default_keeps_its_place_where_it_is_best() -> None:
    found = [course({DEFAULT: 0.4}, seed)[0] for seed in range(20)]
    assert all(one.settings == {} and not one.better for one in found)


def test_every_boot_is_asked_for_once_and_in_turn() -> None:
    found, boots = course({7: 0.3})
    assert len(boots.asked) == len(set(boots.asked)) == PLAN.total()
    assert boots.asked[: PLAN.count] == [(one, 1) for one in range(PLAN.count)]
    # The comparison is on boots that the rounds have not seen.
    last = boots.asked[-2 * PLAN.pairs :]
    assert {one for one, _ in last} == {DEFAULT, found.winner}
    assert not set(last) & set(boots.asked[: -2 * PLAN.pairs])


def test_the_default_comes_to_every_round() -> None:
    states: list[dict[str, Any]] = []
    search(PLAN, Simulated({DEFAULT: 0.0}, 1), states.append)
    assert len(states) == len(PLAN.rounds())
    assert all(DEFAULT in state["alive"] for state in states)
    assert [len(state["alive"]) for state in states] == [12, 6, 3, 2]


def test_the_same_seed_tries_the_same_settings() -> None:
    assert halving.candidates(5, 16) == halving.candidates(5, 16)
    assert halving.candidates(5, 16) != halving.candidates(6, 16)


@pytest.mark.parametrize("count", [2, 3, 12, 40, 64])
def test_candidates_are_different_and_the_first_changes_nothing(count: int) -> None:
    made = halving.candidates(1, count)
    assert len(made) == count
    assert made[0] == {}
    assert len({tuple(sorted(one.items())) for one in made}) == count
    for one in made:
        assert all(value in halving.SPACE[key][1:] for key, value in one.items())


def test_the_program_knows_what_the_space_says() -> None:
    """Each value is one of the program's, and the first of each is its default."""
    import subprocess

    from lab.supplies.program import program

    for key, values in halving.SPACE.items():
        for value in values:
            words = ["opener_cpu=any", "victim_cpu=any", "seconds=1", "windows=1", f"{key}={value}"]
            done = subprocess.run(
                [program(64), *words], stdout=subprocess.PIPE, text=True, check=False
            )
            assert done.returncode != 2, f"{key}={value}"
            assert f" {key}={value} " in done.stdout
    plain = subprocess.run(
        [program(64), "seconds=1", "windows=1", "opener_cpu=any", "victim_cpu=any"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout
    for key, values in halving.SPACE.items():
        assert f" {key}={values[0]} " in plain


def test_the_sign_test_is_exact() -> None:
    worse, better = Boot(100, 10, 5.0), Boot(100, 30, 5.0)
    assert halving.compare([worse] * 5, [better] * 5).chance == pytest.approx(1 / 32)
    assert not halving.compare([worse] * 4, [better] * 4).better  # 1/16
    assert halving.compare([worse] * 2, [worse] * 2).chance == 1.0  # ties say nothing


CONFIG = """
kernels: {mine: {image: bzImage}}
matrix: {guests: [dom0]}
stress: {seconds: 60, min_windows: 500}
"""


def machines(folder: RunFolder, config_path: Path) -> Machines:
    from lab.config.cells import cells
    from lab.search.course import cell_of

    config = equalize(parse(CONFIG, config_path), PLAN)
    tried = [cell_of(cells(config)[0], n, s) for n, s in enumerate(PLAN.candidates())]
    nothing: Any = None
    job = Job(config, nothing, folder, Board(), threading.Event())
    return Machines(job, tried, nothing, 2)


def test_boots_are_of_equal_length(tmp_path: Path) -> None:
    stress = equalize(parse(CONFIG, tmp_path / "lab.yaml"), PLAN).stress
    assert (stress.seconds, stress.min_windows) == (5, 1)


def test_a_boot_that_a_folder_holds_is_not_booted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int]] = []

    def boot(_job: Any, cell: Any, number: int, *_: Any) -> TrialVerdict:
        calls.append((cell.id, number))
        return TrialVerdict(Verdict.CORRUPTS, "x", windows=100, hits=9, stressed=5.0)

    monkeypatch.setattr("lab.search.machines.run_trial", boot)
    work = machines(RunFolder.create(tmp_path), tmp_path / "lab.yaml")
    assert work([(0, 1), (7, 1)]) == [Boot(100, 9, 5.0)] * 2
    assert sorted(calls) == [("dom0-mine~s00", 1), ("dom0-mine~s07", 1)]
    kept = TrialVerdict(Verdict.CLEAN, "y", windows=50, hits=0, stressed=5.5)
    monkeypatch.setattr(work, "_earlier", lambda *_: kept)
    assert work([(0, 1)]) == [Boot(50, 0, 5.5)]
    assert len(calls) == 2


def test_an_interrupted_boot_is_booted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder.create(tmp_path)
    left = folder.trial("dom0-mine~s00", 1)
    left.path.mkdir(parents=True)
    monkeypatch.setattr(
        "lab.search.machines.run_trial",
        lambda *_: TrialVerdict(Verdict.CLEAN, "x", windows=10, hits=0, stressed=5.0),
    )
    assert machines(folder, tmp_path / "lab.yaml")([(0, 1)]) == [Boot(10, 0, 5.0)]
    assert not left.path.exists()


def test_a_crash_ends_the_search_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "lab.search.machines.run_trial", lambda *_: TrialVerdict(Verdict.CRASHED, "it died")
    )
    with pytest.raises(LabError, match="dom0-mine~s03, boot 2: CRASHED: it died"):
        machines(RunFolder.create(tmp_path), tmp_path / "lab.yaml")([(3, 2)])


def test_a_run_may_ask_for_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user sets has precedence over what was found; a control is needed."""
    from lab.config.cells import cells
    from lab.errors import UserError
    from lab.search import tune

    monkeypatch.setattr(tune, "_find_settings", lambda *_: {"openers": 2, "victims": 3})
    text = """
kernels: {mine: {image: bzImage}}
matrix: {guests: [dom0, native]}
stress: {search: true, settings: {victims: 1}}
expect: {corrupts: [dom0-mine]}
"""
    config = parse(text, tmp_path / "lab.yaml")
    tuned = tune.tune(config, cells(config), tmp_path)
    assert tuned.stress.settings == {"openers": 2, "victims": 1}
    assert all(cell.settings == {"openers": 2, "victims": 1} for cell in cells(tuned))
    with pytest.raises(UserError, match="no cell that is expected to corrupt"):
        tune.tune(config, [cell for cell in cells(config) if not cell.is_control], tmp_path)
