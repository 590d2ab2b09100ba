# SPDX-License-Identifier: GPL-2.0-or-later
"""Bisects of tiny histories with a scripted lab: every ending, and being killed."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from lab.bisect.journal import Answer, Journal
from lab.bisect.marks import Mark, Question, Step, log_text, wrong
from lab.bisect.repo import BisectRepo, ToTest, check_ends, resolve, top_of
from lab.cli.bisect import exit_code
from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.errors import LabError, UserError
from lab.evidence.run import RunFolder
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict
from tests.helpers.bisects import MISS, Bench, bench, commit, git, line

STORY = "good broken good bad crash eager bad good good"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Only ever read: a bisect leaves the tree alone."""
    tree = tmp_path_factory.mktemp("story") / "tree"
    return tree, line(tree, STORY)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, story: tuple[Path, list[str]]) -> Bench:
    """Where the story's bug came in, without a break."""
    tree, commits = story
    work = bench(tmp_path_factory.mktemp("whole"), tree, commits[0], commits[6])
    before = git(tree, "status", "--porcelain=v2", "--branch"), git(tree, "for-each-ref")
    work.answer = work.bisect().run()
    assert (git(tree, "status", "--porcelain=v2", "--branch"), git(tree, "for-each-ref")) == before
    return work


def test_the_commit_that_brought_it_in(whole: Bench, story: tuple[Path, list[str]]) -> None:
    assert whole.answer == Answer("confirmed", story[1][3], story[1][2])
    assert whole.kernels.builds[-1] == "patched"  # the change reverted on the bad end


def test_the_commit_that_fixed_it(tmp_path: Path, story: tuple[Path, list[str]]) -> None:
    tree, commits = story
    work = bench(tmp_path, tree, commits[8], commits[3], True)
    answer = work.bisect().run()
    assert (answer.status, answer.culprit) == ("confirmed", commits[7])
    # git's own replay takes the log.
    plain = tmp_path / "plain"
    subprocess.run(["git", "clone", "-q", tree, plain], check=True)
    said = git(plain, "bisect", "replay", str(work.folder.path / "bisect.log"))
    assert f"{commits[7]} is the first fixed commit" in said


def test_every_session_boots_the_control_and_the_ends_come_first(
    whole: Bench, story: tuple[Path, list[str]]
) -> None:
    commits = story[1]
    bad, good = commits[6][:12], commits[0][:12]
    assert whole.lab.sessions[0] == [bad, good, "known"]
    assert all(session[0] == bad for session in whole.lab.sessions)
    pairs = [s[1:] for s in whole.lab.sessions if s[1:] == [commits[3][:12], commits[2][:12]]]
    assert len(pairs) == 3


def test_marks_confidence_and_reports(whole: Bench, story: tuple[Path, list[str]]) -> None:
    steps = Journal(whole.folder).steps()
    clean = [step for step in steps if step.mark is Mark.GOOD]
    assert wrong(steps) == pytest.approx(len(clean) * MISS, rel=1e-4)
    page = (whole.folder.path / "summary.md").read_text()
    assert f"{story[1][3]} brought it in: confirmed" in page
    assert "c3 bad" in page
    for step in steps:
        assert (whole.folder.path / step.folder).is_dir()
    cases = list(ET.parse(whole.folder.path / "junit.xml").getroot().iter("testcase"))
    assert cases[-1].get("name") == "the answer"
    assert [element.tag for element in cases[-1]] == ["system-out"]
    assert any("all marks right so far: 1 - " in text for text in whole.said)


def test_what_cannot_be_judged_is_skipped(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    commits = line(tree, "good broken crash eager bad")
    work = bench(tmp_path, tree, commits[0], commits[4])
    answer = work.bisect().run()
    assert answer.status == "undecided"
    assert set(answer.among) == set(commits[1:])
    found = {s.commit: (s.mark, s.verdict) for s in Journal(work.folder).steps()}
    assert found[commits[1]] == (Mark.SKIP, "BUILD FAILED")
    assert found[commits[2]] == (Mark.SKIP, "CRASHED")
    assert found[commits[3]] == (Mark.SKIP, "VACUOUS")
    page = (work.folder.path / "summary.md").read_text()
    assert all(commit[:12] in page for commit in answer.among)


def killed_in(work: Bench, call: int) -> None:
    """Let the lab die in its session number ``call``, evidence half written."""
    alive = work.lab.says

    def says(state: str, folder: RunFolder) -> Verdict | None:
        if len(work.lab.sessions) == call:
            raise KeyboardInterrupt
        return alive(state, folder)

    work.lab.says = says
    with pytest.raises(KeyboardInterrupt):
        work.bisect().run()
    work.lab.says = alive


@pytest.mark.parametrize("call", [1, 2, 3, 5, 7])
def test_killed_anywhere_it_resumes_and_does_nothing_twice(
    tmp_path: Path, story: tuple[Path, list[str]], whole: Bench, call: int
) -> None:
    tree, commits = story
    work = bench(tmp_path / "again", tree, commits[0], commits[6])
    killed_in(work, call)
    xml = work.folder.path / "junit.xml"
    if xml.is_file():
        assert "under way" in xml.read_text()
    answer = work.bisect().run()
    assert (answer.status, answer.culprit) == ("confirmed", commits[3])
    assert len(work.kernels.builds) == len(set(work.kernels.builds)) == len(whole.kernels.builds)
    # The interrupted session is asked for again; its folder's trials count (lab.run).
    assert len(work.lab.sessions) == len(whole.lab.sessions) + 1
    marks = [[(s.commit, s.mark) for s in Journal(b.folder).steps()] for b in (work, whole)]
    assert marks[0] == marks[1]
    done = len(work.lab.sessions)
    assert work.bisect().run() == answer
    assert len(work.lab.sessions) == done


def test_a_lab_error_stops_and_never_marks(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    commits = line(tree, "good good ill bad bad")
    work = bench(tmp_path, tree, commits[0], commits[4])
    with pytest.raises(LabError, match="as scripted"):
        work.bisect().run()
    assert [step.commit for step in Journal(work.folder).steps()] == [commits[4], commits[0]]
    assert list((work.folder.path / "steps").glob("*.stopped1"))
    # The lab is well again: the same step, a new session.
    work.lab.says = lambda state, _folder: Verdict.CLEAN if state == "ill" else None
    answer = work.bisect().run()
    assert answer.culprit == commits[3]


def test_a_control_that_stays_clean_never_marks_a_commit_good(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    commits = line(tree, "good good good bad bad")
    work = bench(tmp_path, tree, commits[0], commits[4])
    work.lab.says = lambda _state, folder: (
        Verdict.CLEAN if not folder.path.name.startswith("00") else None
    )
    with pytest.raises(LabError, match="did not corrupt in this session"):
        work.bisect().run()
    assert len(Journal(work.folder).steps()) == 2


def test_a_clean_cell_that_is_not_sure_enough_gets_more_boots(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    commits = line(tree, "good good bad")
    work = bench(tmp_path, tree, commits[0], commits[2])
    asked: list[tuple[int, int]] = []
    scripted = work.lab._cell

    def unsure(config: LabConfig, cell: Cell, folder: RunFolder) -> CellVerdict:
        made = scripted(config, cell, folder)
        confidence = config.confidence
        if made.verdict is Verdict.CLEAN and folder.path.name.startswith("01"):
            asked.append((confidence.control_boots, confidence.max_boots))
            if len(asked) < 3:
                return replace(made, verdict=Verdict.VACUOUS, reason="too little exposure")
        return made

    work.lab._cell = unsure  # type: ignore[method-assign]
    assert work.bisect().run().culprit == commits[2]
    assert asked == [(9, 20), (13, 30), (17, 40)]
    assert Journal(work.folder).steps()[2].mark is Mark.GOOD


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ("good good good", "the bad end does not corrupt"),
        ("bad good bad", "the good end is not clean"),
        ("eager good bad", "the good end is not clean"),
        ("good good broken", "the bad end does not build"),
        ("good good crash", "the bad end does not corrupt"),
    ],
)
def test_ends_that_are_not_what_was_said(tmp_path: Path, states: str, says: str) -> None:
    tree = tmp_path / "tree"
    commits = line(tree, states)
    answer = bench(tmp_path, tree, commits[0], commits[-1]).bisect().run()
    assert answer.status == "not proved"
    assert says in answer.why[0]
    assert says in (tmp_path / "results" / "latest" / "summary.md").read_text()


def test_a_culprit_that_does_not_show_again_is_only_suspected(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    commits = line(tree, "good good bad bad")
    work = bench(tmp_path, tree, commits[0], commits[3])
    work.lab.says = lambda state, folder: (
        Verdict.CORRUPTS if folder.path.name == "confirm-2" and state == "good" else None
    )
    answer = work.bisect().run()
    assert answer.status == "suspected"
    assert answer.culprit == commits[2]
    assert "confirm-2" in answer.why[0]


def test_a_change_that_does_not_help_alone_is_only_suspected(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    commits = line(tree, "good good bad bad")
    work = bench(tmp_path, tree, commits[0], commits[3])
    work.lab.says = lambda _state, folder: (
        Verdict.CORRUPTS if folder.path.name == "confirm-change" else None
    )
    answer = work.bisect().run()
    assert answer.status == "suspected"
    assert "reverted on the bad end" in answer.why[0]


def test_a_change_that_does_not_apply_is_left_out_and_said(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    commits = line(tree, "good bad")
    commits.append(commit(tree, "bad and more", "rewritten"))
    (tree / "state").write_text("bad\n\n")
    git(tree, "commit", "-qam", "rewritten again")
    work = bench(tmp_path, tree, commits[0], "HEAD")
    work.lab.says = lambda state, _folder: Verdict.CORRUPTS if state.startswith("bad") else None
    answer = work.bisect().run()
    assert (answer.status, answer.culprit) == ("confirmed", commits[1])
    assert any("reverted on the bad end without conflicts" in text for text in work.said)


def test_paths_and_merges_are_gits_business(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    line(tree, "good good")
    git(tree, "checkout", "-q", "-b", "side", "HEAD~1")
    culprit_side = []
    for number in range(3):
        (tree / "side").write_text(f"{number}")
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "-m", f"side {number}")
        culprit_side.append(git(tree, "rev-parse", "HEAD"))
    git(tree, "checkout", "-q", "main")
    git(tree, "merge", "-q", "--no-edit", "side")
    culprit = commit(tree, "bad", "the culprit", fpu="x")
    commit(tree, "bad", "later")
    answer = bench(tmp_path, tree, "main~3", "main").bisect().run()
    assert (answer.status, answer.culprit) == ("confirmed", culprit)
    only = bench(tmp_path / "paths", tree, "main~3", "main", False, "fpu")
    assert only.bisect().run().culprit == culprit
    assert len(Journal(only.folder).steps()) == 3  # one commit touches it


def test_a_built_neighbour_is_preferred(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    commits = line(tree, " ".join(["good"] * 8 + ["bad"] * 8))
    work = bench(tmp_path, tree, commits[0], commits[15])
    gits = work.repo.next(work.question, _log(work), ())
    assert isinstance(gits, ToTest)
    near = commits[commits.index(gits.commit) + 1]
    work.kernels.kernel(near, lambda _: None)
    work.kernels.builds.clear()
    answer = work.bisect().run()
    assert answer.culprit == commits[8]
    assert Journal(work.folder).steps()[2].commit == near


def _log(work: Bench) -> Path:
    path = work.tmp / "log"
    question = work.question
    ends = [_step(question.bad, Mark.BAD), _step(question.good, Mark.GOOD)]
    path.write_text(log_text(question, ends))
    return path


def _step(commit: str, mark: Mark) -> Step:
    return Step(commit, "s", mark, "CLEAN", "r", "f")


def test_a_stale_state_in_the_clone_changes_nothing(
    tmp_path: Path, story: tuple[Path, list[str]]
) -> None:
    tree, commits = story
    work = bench(tmp_path, tree, commits[0], commits[6])
    first = work.repo.next(work.question, _log(work), ())
    other = replace(work.question, good=commits[3])
    text = log_text(other, [_step(commits[6], Mark.BAD), _step(commits[3], Mark.GOOD)])
    (tmp_path / "other").write_text(text)
    work.repo.next(other, tmp_path / "other", ())
    assert work.repo.next(work.question, _log(work), ()) == first


def test_odd_paths_survive_the_log(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    line(tree, "good")
    odd = commit(tree, "bad", "odd", **{"it's! odd": "x"})
    commit(tree, "bad", "more")
    question = Question(resolve(tree, "main~2"), resolve(tree, "main"), paths=("it's! odd",))
    repo = BisectRepo.clone(tree, tmp_path / "repo.git")
    log = tmp_path / "log"
    ends = [_step(question.bad, Mark.BAD), _step(question.good, Mark.GOOD)]
    log.write_text(log_text(question, ends))
    found = repo.next(question, log)
    assert getattr(found, "commit", None) == odd


def test_bad_questions_are_refused(tmp_path: Path, story: tuple[Path, list[str]]) -> None:
    tree, commits = story
    with pytest.raises(UserError, match="add --find-fix"):
        check_ends(tree, commits[8], commits[3], False)
    with pytest.raises(UserError, match="leave out --find-fix"):
        check_ends(tree, commits[0], commits[3], True)
    with pytest.raises(UserError, match="same commit"):
        check_ends(tree, commits[0], commits[0], False)
    with pytest.raises(UserError, match="is not a commit"):
        resolve(tree, "v9.9")
    with pytest.raises(UserError, match="is not a git repository"):
        top_of(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="not a bisect's folder"):
        Journal.open(tmp_path / "none")


def test_no_fault_of_ours_is_a_mark_to_git() -> None:
    for code in (2, 3, 4, 5, 6, 126, 127, 130, 255):
        assert exit_code(["bisect-step"], code) == 129
        assert exit_code(["run"], code) == code
    for code in (0, 1, 125):
        assert exit_code(["bisect-step"], code) == code


def test_the_question_survives_its_file(tmp_path: Path, story: tuple[Path, list[str]]) -> None:
    tree, commits = story
    work = bench(tmp_path, tree, commits[0], commits[6], False, "a", "b")
    order = work.bisect().bench.order
    assert json.loads((work.folder.path / "bisect.json").read_text())["question"]["paths"]
    assert order.question == work.question
