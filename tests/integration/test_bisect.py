# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab bisect` as a user runs it: a real history, real builds of its commits, real Xen boots.

The source carries a mark of its own each time, so that nothing is answered from the cache of
kernels: every commit is built, in the object folder of the one before, with ccache.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import lab as helper
from tests.helpers.bisecthistory import History, history
from tests.helpers.lab import LAB, environment, run_folder
from tests.helpers.project import PROJECT

pytestmark = pytest.mark.boots
CONFIG = ("-c", "tests/integration/bisect.yaml")
_DEADLINE = 5400  # a cold cache unpacks, compiles and packs first
# By number of the history's commits. Where the mistake came in, and where it went.
CULPRIT, FIX = 4, 9
STOPPED = {"unbuilt": "BUILD FAILED", "dies": "CRASHED", "eager": "VACUOUS"}


@dataclass(frozen=True)
class Outcome:
    """A bisect that came to its end: what it printed, and its folder."""

    code: int
    said: str
    folder: Path

    def steps(self) -> dict[str, dict[str, Any]]:
        """By commit."""
        files = sorted((self.folder / "steps").glob("[0-9]*.json"))
        done = [step for path in files for step in json.loads(path.read_text())["done"]]
        return {step["commit"]: step for step in done}


@pytest.fixture(scope="module")
def made() -> History:
    return history(secrets.token_hex(4))


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    return helper.lab(*words, timeout=_DEADLINE)


def outcome(done: subprocess.CompletedProcess[str]) -> Outcome:
    return Outcome(done.returncode, done.stdout, run_folder(done.stdout))


def boots(folder: Path) -> dict[str, int]:
    """When each boot's console was written last; the control's boots are hard links."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in (folder / "steps").glob("*/cells/*/*/console.log")
        if (path.parent / "verdict.json").is_file()
    }


def booting(folder: Path) -> bool:
    """Whether a boot of the second step is under way."""
    consoles = (folder / "steps").glob("02-*/cells/*/*/console.log")
    return any(not (path.parent / "verdict.json").exists() for path in consoles)


@pytest.fixture(scope="module")
def killed(made: History) -> tuple[Path, dict[str, int]]:
    """When did it stop? The lab is killed when the second commit that it tests boots."""
    words = ("--good", made.commits[10], "--bad", made.commits[CULPRIT], "--find-fix", *CONFIG)
    process = subprocess.Popen(
        [*LAB, "bisect", str(made.tree), *words], cwd=PROJECT, env=environment(), text=True,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = process.stdout.readline()
    folder = PROJECT / said.split()[-1]
    end = time.monotonic() + _DEADLINE
    while not booting(folder):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, "the second step never came"
        time.sleep(0.05)
    # The lab alone: what it had started is as alone as after a power cut of the terminal.
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return folder, boots(folder)


@pytest.fixture(scope="module")
def stopped(killed: tuple[Path, dict[str, int]]) -> Outcome:
    return outcome(lab("bisect", "--resume", str(killed[0])))


def test_when_it_stopped_also_when_killed_halfway(made: History, stopped: Outcome) -> None:
    assert f"{made.commits[FIX]} fixed it: confirmed" in stopped.said
    assert stopped.code == 0


def test_a_killed_bisect_boots_nothing_again(
    killed: tuple[Path, dict[str, int]], stopped: Outcome
) -> None:
    folder, before = killed
    after = boots(folder)
    assert before
    assert {name: after.get(name) for name in before} == before
    assert stopped.folder == folder
    assert "nothing is run again" in stopped.said


@pytest.fixture(scope="module")
def came_in(made: History, stopped: Outcome) -> Outcome:
    """Where did it come in? After the other, whose kernels it finds built."""
    assert stopped.folder
    words = ("--good", made.commits[0], "--bad", made.commits[8])
    return outcome(lab("bisect", str(made.tree), *words, *CONFIG))


def test_where_it_came_in(made: History, came_in: Outcome) -> None:
    assert f"{made.commits[CULPRIT]} brought it in: confirmed" in came_in.said
    assert came_in.code == 0


def test_every_mark_is_what_the_commit_does(
    made: History, came_in: Outcome, stopped: Outcome
) -> None:
    seen = set()
    for commit, step in [*came_in.steps().items(), *stopped.steps().items()]:
        does = made.does(made.commits.index(commit))
        wanted = (does, "CLEAN" if does == "good" else "CORRUPTS")
        if does in STOPPED:
            wanted = ("skip", STOPPED[does])
        assert (step["mark"], step["verdict"]) == wanted, step["reason"]
        seen.add(does)
    # What git asks for first, whatever the hashes are: both are among the middles.
    assert seen >= {"good", "bad", "unbuilt", "eager"}


def test_the_users_repository_is_as_it_was(made: History, came_in: Outcome) -> None:
    assert came_in.code == 0
    words = ["git", "-C", str(made.tree), "for-each-ref", "--format=%(refname)"]
    refs = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert refs == ["refs/heads/main", "refs/tags/base"]
    assert not list(made.tree.glob("BISECT_*"))


def test_the_evidence_holds_without_the_lab(made: History, came_in: Outcome) -> None:
    folder = came_in.folder
    cases = {c.get("name"): c for c in ET.parse(folder / "junit.xml").getroot().iter("testcase")}
    assert not [c for case in cases.values() for c in case if c.tag in ("failure", "error")]
    page = (folder / "summary.md").read_text()
    assert made.commits[CULPRIT] in page
    for step in came_in.steps().values():
        assert (folder / step["folder"]).is_dir()
    words = ["git", "clone", "-q", "--bare", str(made.tree), str(folder / "again.git")]
    subprocess.run(words, check=True)
    replay = ["git", "-C", str(folder / "again.git"), "bisect", "replay", "../bisect.log"]
    said = subprocess.run(replay, capture_output=True, text=True, check=True).stdout
    assert f"{made.commits[CULPRIT]} is the first bad commit" in said


def test_plain_git_bisect_run(made: History, came_in: Outcome) -> None:
    """Its second question is the commit that dies; each step is measured by the lab's control.

    In the history's own repository: the objects of another one would all be built anew.
    """
    assert came_in.code == 0
    tree = str(made.tree)
    git = ["git", "-C", tree, "bisect"]
    subprocess.run([*git, "start", "--no-checkout", made.commits[6], made.commits[0]], check=True)
    try:
        done = subprocess.run(
            [*git, "run", *LAB, "bisect-step", tree, "-c", str(PROJECT / CONFIG[1])],
            env=environment(), capture_output=True, text=True, timeout=_DEADLINE, check=False,
        )  # fmt: skip
    finally:
        subprocess.run([*git, "reset"], check=True)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert f"{made.commits[CULPRIT]} is the first bad commit" in done.stdout
    assert "SKIP  CRASHED: Kernel panic - not syncing: Attempted to kill init!" in done.stdout
