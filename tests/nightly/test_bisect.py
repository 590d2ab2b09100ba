# SPDX-License-Identifier: GPL-2.0-or-later
"""The tip of a git tree each night, and the commit that brought a corruption in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.bisect.repo import BisectRepo
from lab.config.cells import Cell
from lab.exitcodes import Exit
from lab.nightly.night import Part
from tests.helpers import bisects
from tests.helpers.bisects import FakeKernels, FakeLab
from tests.helpers.nightlab import BAD, CLEAN, DAY, NightLab, set_up

CONFIG = """
kernels: {known: {image: known}, mine: {tree: linux, rev: main}}
matrix: {guests: [dom0]}
trials: 1
confidence: {level: 1.0e-3, safety: 1, control_boots: 2, control_hits: 5, max_boots: 3}
expect: {corrupts: [dom0-known]}
nightly:
  jobs:
    tip: {cells: [dom0-mine], git: [mine], capsule: false}
"""
MAKEFILE = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\n"


class TipLab:
    """A night lab whose kernel ``mine`` does what the commit of its tree says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tree = folder / "linux"
        self.tree.mkdir()
        bisects.git(self.tree, "init", "-q", "-b", "main")
        self.commits: list[str] = []
        self.lab: NightLab = set_up(folder, monkeypatch, self._script, CONFIG)
        self.sessions = FakeLab()
        kernels = folder / "kernels"
        repo = BisectRepo(self.tree / ".git")
        monkeypatch.setattr("lab.bisect.task.TreeKernels", lambda *_: FakeKernels(repo, kernels))
        monkeypatch.setattr("lab.bisect.task.make_experiment", self._make_experiment)
        monkeypatch.setattr("lab.bisect.task.check_input", lambda *_: None)
        self.before_session: Callable[[threading.Event], None] = lambda _: None

    def commit(self, state: str) -> str:
        number = len(self.commits)
        made = bisects.commit(self.tree, state, f"c{number} {state}", Makefile=MAKEFILE)
        self.commits.append(made)
        return made

    def _script(self, cell: Cell, _: int) -> dict[str, Any]:
        if cell.kernel == "known":
            return BAD
        return BAD if bisects.git(self.tree, "show", "main:state") == "bad" else CLEAN

    def _make_experiment(
        self, _repeat: str, _loud: bool, stop: threading.Event | None = None
    ) -> Callable[..., Any]:
        def run(*words: Any) -> Any:
            assert stop is not None
            self.before_session(stop)
            if stop.is_set():
                raise KeyboardInterrupt
            return self.sessions(*words)

        return run


@pytest.fixture
def tip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TipLab:
    made = TipLab(tmp_path, monkeypatch)
    made.commit("good")
    assert made.lab.night() == Exit.OK
    made.lab.at += DAY
    return made


def test_each_night_builds_the_newest_commit(tip: TipLab) -> None:
    assert tip.lab.last().jobs[0].commits == {"mine": tip.commits[0]}
    tip.commit("good")
    assert tip.lab.night() == Exit.OK
    assert tip.lab.last().jobs[0].commits == {"mine": tip.commits[1]}
    run = tip.lab.results / tip.lab.last().jobs[0].runs[-1]
    assert f'"rev": "{tip.commits[1]}"' in (run / "config.json").read_text()


def test_the_night_finds_the_commit_that_brought_it_in(tip: TipLab) -> None:
    for state in ("good", "good", "bad", "bad"):
        tip.commit(state)
    assert tip.lab.night() == Exit.CORRUPTS
    night = tip.lab.last()
    (change,) = night.changes
    assert change.bisect is not None
    assert change.bisect.state == "done"
    assert f"{tip.commits[3]} brought it in: confirmed" in change.bisect.says
    assert change.culprit == f"{tip.commits[3][:12]} c3 bad"
    assert f"since {tip.commits[3][:12]} c3 bad" in night.sentence
    summary = (tip.lab.results / "nights" / night.night / "summary.txt").read_text()
    assert change.culprit.split()[0] in summary


def test_a_bisect_without_time_is_continued_by_the_next_night(tip: TipLab) -> None:
    for state in ("good", "good", "good", "bad", "bad", "bad"):
        tip.commit(state)
    sessions = 0

    def run_out(stop: threading.Event) -> None:
        nonlocal sessions
        sessions += 1
        if sessions == 3:  # as when the limit's timer fires
            tip.lab.text = CONFIG
            find_limit(stop).reach()

    with pytest.MonkeyPatch.context() as patch:
        limits = keep_limits(patch)

        def find_limit(stop: threading.Event) -> Any:
            return next(one for one in limits if one.stop is stop)

        tip.before_session = run_out
        assert tip.lab.night() == Exit.CORRUPTS
    (change,) = tip.lab.last().changes
    assert change.bisect is not None
    assert change.bisect.state == "cut"
    assert "out of time after 3 marked commits" in change.bisect.says
    before = list(tip.sessions.sessions)
    tip.before_session = lambda _: None
    tip.lab.at += DAY
    tip.lab.night()
    night = tip.lab.last()
    (carried,) = night.carried
    assert carried.part.run == change.bisect.run
    assert carried.culprit == f"{tip.commits[4][:12]} c4 bad"
    assert f"{tip.commits[4]} brought it in: confirmed" in night.sentence
    assert len(tip.sessions.sessions) > len(before)
    tip.lab.at += DAY
    tip.lab.night()
    assert tip.lab.last().carried == []


def keep_limits(patch: pytest.MonkeyPatch) -> list[Any]:
    """All limits that are made, so that a test can reach one."""
    from lab.nightly import runs

    made: list[Any] = []
    plain = runs.Limit

    def make(stop: threading.Event) -> Any:
        made.append(plain(stop))
        return made[-1]

    patch.setattr(runs, "Limit", make)
    return made


def test_a_kernel_that_did_not_change_is_not_bisected(tip: TipLab) -> None:
    tip.lab.script = lambda _cell, _count: BAD
    assert tip.lab.night() == Exit.CORRUPTS
    (change,) = tip.lab.last().changes
    assert isinstance(change.bisect, Part)
    assert change.bisect.state == "left out"
    assert "something else changed" in change.bisect.says


def test_a_tree_that_is_not_there_fails_its_job(tip: TipLab) -> None:
    tip.tree.rename(tip.tree.with_name("away"))
    assert tip.lab.night() == Exit.LAB_ERROR
    assert "there is no such folder" in tip.lab.last().jobs[0].why
