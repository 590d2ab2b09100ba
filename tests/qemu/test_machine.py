# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of one machine, with a shell in QEMU's place: what ends it, and what that is called."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.console.watch import Ending
from lab.qemu import machine
from lab.system.deadline import Deadline
from lab.system.room import find_shortage, is_full
from lab.verdict.facts import TrialFacts
from lab.verdict.severity import Verdict
from lab.verdict.trial import judge
from tests.helpers.consoles import console
from tests.helpers.disk import small_disk

FACTS = TrialFacts("native-x", 1, "cafe", "native", "x", 100, 100)


def boot(folder: Path, script: str) -> Ending:
    """``script`` finds the console's path in $0."""
    path = folder / "console.log"
    words = ["sh", "-c", script, str(path)]
    return machine.run(words, path, Deadline(120), lambda _: None, threading.Event())


def verdict(folder: Path, ending: Ending) -> Verdict:
    return judge(FACTS, (folder / "console.log").read_bytes(), ending).verdict


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    with small_disk(tmp_path / "small", 256) as place:
        yield place


@pytest.mark.parametrize("corruptions", [0, 3])
def test_a_disk_that_is_full_in_the_middle_of_a_boot(
    small: Path, tmp_path: Path, corruptions: int
) -> None:
    """Then the guest's silence is the disk's; what its console shows already counts."""
    (tmp_path / "said").write_bytes(console(xen="none", end=False, corruptions=corruptions))
    fill = f"cat {tmp_path}/said >$0; cat /dev/zero >{small}/fill 2>/dev/null; exec sleep 60"
    ending = boot(small, fill)
    assert ending.how == "lab_error"
    assert "could not be kept whole" in ending.detail
    wanted = Verdict.CORRUPTS if corruptions else Verdict.LAB_ERROR
    assert verdict(small, ending) is wanted


def test_a_disk_that_had_no_room_for_a_moment_only(small: Path, tmp_path: Path) -> None:
    (tmp_path / "said").write_bytes(console(xen="none", end=False))
    script = f"cat {tmp_path}/said >$0; cat /dev/zero >{small}/fill; sleep 2; rm {small}/fill"
    assert boot(small, script).how == "lab_error"


def test_room_is_found_by_asking_and_by_trying(small: Path) -> None:
    assert not is_full(small)
    assert find_shortage(small) == ""
    (small / "fill").write_bytes(bytes(230 << 10))
    assert is_full(small)
    assert find_shortage(small) == "No space left on device"


def test_a_boot_that_finished_is_judged_though_the_disk_is_full_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "is_full", lambda _: True)
    (tmp_path / "said").write_bytes(console(xen="none"))
    ending = boot(tmp_path, f"cat {tmp_path}/said >$0.part; mv $0.part $0; exec sleep 60")
    assert (ending.how, verdict(tmp_path, ending)) in {
        ("finished", Verdict.CLEAN),
        ("lab_error", Verdict.LAB_ERROR),  # where it was looked at before the first word
    }


def test_a_flood_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MOST_BYTES", 100_000)
    ending = boot(tmp_path, "exec yes >$0")
    assert ending.how == "flooded"
    assert verdict(tmp_path, ending) is Verdict.CRASHED


def test_the_last_record_is_seen_wherever_it_is(tmp_path: Path) -> None:
    (tmp_path / "said").write_bytes(console(xen="none"))
    words = "head -c 300000 /dev/zero >$0; sleep 0.2"
    ending = boot(tmp_path, f"{words}; cat {tmp_path}/said >>$0; exec sleep 60")
    assert ending.how == "finished"
    assert verdict(tmp_path, ending) is Verdict.CLEAN
