# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that are killed, or that find the disk full, at a chosen step of theirs; then resumed.

A step is what Python reports to its audit hooks: a file opened, a folder made, a rename, below the
run's own folder. The run is the lab's own, its boots are a script (tests/helpers/runs.py). Each
happens in a process of its own, forked with everything loaded.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from lab.errors import LabError, UserError
from lab.evidence.run import RunFolder
from tests.campaign.trial import Outcome, Trial
from tests.helpers.runs import FakePlace, run_with, truth, verdicts

WANTED = {"native-old": "CLEAN", "dom0-old": "CORRUPTS"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NEEDS_ROOM = ("open", "os.mkdir", "os.symlink")
_ALL = (*_NEEDS_ROOM, "os.rename", "os.remove", "os.rmdir")

Step = Callable[[], None]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(number: int) -> Step:
    """Every step from then on fails in the system's own way."""

    def raise_it() -> None:
        raise OSError(number, os.strerror(number))

    return raise_it


FAULTS: dict[str, tuple[Step, tuple[str, ...], bool]] = {
    # what happens, at which steps, and whether it goes on
    "the lab is killed -9": (kill, _ALL, False),
    "the disk is full from then on": (fail(errno.ENOSPC), _NEEDS_ROOM, True),
    "the disk is full for one write": (fail(errno.ENOSPC), _NEEDS_ROOM, False),
    "the folder becomes read-only": (fail(errno.EROFS), _ALL, True),
    "no file descriptor for one file": (fail(errno.EMFILE), ("open",), False),
}


class Steps:
    """Counts a process's steps below a folder, and does something at the given one."""

    def __init__(self, folder: Path, fault: str, at: int) -> None:
        self._below = str(folder)
        self._do, self._events, self._goes_on = FAULTS[fault]
        self._at = at
        self.count = 0

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in self._events or not str(args[0]).startswith(self._below):
            return
        if event == "open" and not (args[2] & _WRITES) and self._do is not FAULTS[_DESCRIPTORS][0]:
            return
        self.count += 1
        if self._at and (self.count == self._at or (self._goes_on and self.count > self._at)):
            self._do()


_DESCRIPTORS = "no file descriptor for one file"


def _fork(work: Callable[[], dict[str, Any]], answer: Path) -> dict[str, Any] | None:
    """What ``work`` returns in a process of its own; None where that was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            answer.write_text(json.dumps(work()))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    assert os.waitstatus_to_exitcode(status) == 0, "the run ended in an unforeseen way"
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def _run(folder: Path, steps: Steps | None, resumed: bool) -> dict[str, Any]:
    """A run's verdicts, or the sentence with which it ended."""
    run = RunFolder.open(folder / "results" / "latest") if resumed else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_CACHE", str(folder.with_name("cache")))
        if steps is not None:
            sys.addaudithook(steps)
        try:
            _, made = run_with(folder, patch, FakePlace(truth), trials=2, folder=run)
        except (LabError, UserError, OSError) as error:
            return {"said": str(error), "steps": steps.count if steps else 0}
    found = {cell: v.value if v is not None else None for cell, v in verdicts(made).items()}
    return {"verdicts": found, "steps": steps.count if steps else 0}


def count_steps(fault: str) -> int:
    """How many steps there are at which it can happen."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        folder.mkdir()
        found = _fork(lambda: _run(folder, Steps(folder, fault, 0), False), Path(scratch) / "said")
        assert found is not None
        assert found["verdicts"] == WANTED
        return int(found["steps"])


def attack(fault: str, at: int) -> tuple[Outcome, str]:
    """Run with the fault at that step, resume without it; what the run said, or what is wrong."""
    scratch = Path(tempfile.mkdtemp(prefix="campaign-"))
    try:
        return _attack(scratch, fault, at)
    except AssertionError as error:
        return "false", str(error)
    finally:
        shutil.rmtree(scratch)


def _attack(scratch: Path, fault: str, at: int) -> tuple[Outcome, str]:
    folder, answer = scratch / "run", scratch / "said"
    folder.mkdir()
    hit = _fork(lambda: _run(folder, Steps(folder, fault, at), False), answer)
    said = "killed" if hit is None else str(hit.get("said", hit.get("verdicts")))
    shown = {} if hit is None else hit.get("verdicts", {})
    if any(v in ("CLEAN", "CORRUPTS") and v != WANTED[cell] for cell, v in shown.items()):
        return "false", said
    if not (folder / "results" / "latest" / "manifest.json").is_file():
        return "right", f"{said}; no run had begun"
    after = _fork(lambda: _run(folder, None, True), answer)
    assert after is not None
    if after.get("verdicts") != WANTED:
        return "false", f"{said}; resumed: {after}"
    changes = RunFolder.open(folder / "results" / "latest").find_changes()
    return ("false", f"{said}; {changes}") if changes else ("right", said)


def make_trial(number: int, seed: int, steps: dict[str, int]) -> Trial:
    """Trial ``number`` of a campaign; ``steps``: of each fault, from ``count_steps``."""
    fault = list(FAULTS)[number % len(FAULTS)]
    chance = numpy.random.default_rng([seed, number])
    outcome, said = attack(fault, int(chance.integers(1, steps[fault] + 1)))
    return Trial("runs", fault, number, outcome, "", said)
