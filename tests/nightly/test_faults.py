# SPDX-License-Identifier: GPL-2.0-or-later
"""Nights that are killed, and nights whose disk fills up, for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from tests.helpers.disk import small_disk
from tests.helpers.lab import environment
from tests.helpers.nightlab import BAD, DAY, NightLab, by_kernel, set_up

_DEADLINE = 120.0


def kill_at(folder: Path, cell: str, count: int) -> None:
    """Run a night in a process of its own, and kill it in the boot that is named."""
    words = [sys.executable, "-m", "tests.helpers.nightchild", str(folder), cell, str(count)]
    with (folder / "child.log").open("w") as log:
        child = subprocess.Popen(words, env=environment(), stdout=log, stderr=log)
    end = time.monotonic() + _DEADLINE
    while not (folder / "reached").exists():
        assert child.poll() is None, (folder / "child.log").read_text()
        assert time.monotonic() < end, "the boot was never reached"
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


@pytest.mark.parametrize(
    ("cell", "count"),
    [
        ("dom0-control", 1),  # the look at the control
        ("dom0-control", 2),  # the first job's own control
        ("dom0-mine", 1),
        ("dom0-mine", 2),  # the corruption is confirmed
        ("dom0-other", 1),
    ],
)
def test_a_killed_night_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, count: int
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    assert lab.night() == Exit.OK
    lab.at += DAY
    (tmp_path / "at").write_text(str(lab.at))
    kill_at(tmp_path, cell, count)
    cut = lab.last()
    assert cut.state == "running"
    lab.script = by_kernel(mine=BAD)
    assert lab.night() == Exit.CORRUPTS
    night = lab.last()
    assert (night.night, night.state, len(night.resumed)) == (cut.night, "ended", 1)
    assert [job.state for job in night.jobs] == ["done", "done"]
    (change,) = night.changes
    assert (change.cell, change.was, change.confirmed) == ("dom0-mine", "CLEAN", True)
    # Each job has one run, which holds the boots from before and after.
    assert [len(job.runs) for job in night.jobs] == [1, 1]
    for job in night.jobs:
        assert RunFolder.open(lab.results / job.runs[0]).find_changes() == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 KiB."""
    with small_disk(tmp_path / "small", 400) as place:
        yield place


def end_of(lab: NightLab) -> str:
    """A night's last word where it could not end; empty where it did."""
    try:
        assert lab.night() == Exit.OK
    except LabError as error:
        return str(error)
    return ""


def test_a_disk_that_is_full_ends_the_night_which_goes_on_with_more_room(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.results.symlink_to(small)
    monkeypatch.setattr("lab.nightly.desk.NEEDED_MIB", 0)
    said = ""
    while not said:  # some nights fit
        said = end_of(lab)
        lab.at += 0 if said else DAY
    assert "the disk is full" in said
    assert "\n" not in said
    subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
    assert lab.night() == Exit.OK
    assert {night.state for night in lab.nights()} == {"ended"}
