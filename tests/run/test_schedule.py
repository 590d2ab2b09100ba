# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's life with a place that fails on request: retries, interruption, resuming, verifying."""

from __future__ import annotations

import errno
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from lab.config.cells import Cell
from lab.errors import LabError, UserError
from lab.evidence.rules import hash_rules
from lab.evidence.run import FORMAT, RunFolder
from lab.evidence.trial import TrialFolder
from lab.run import verify as verification
from lab.verdict.severity import Verdict
from tests.helpers.consoles import console
from tests.helpers.runs import CONFIG, FakePlace, run_with, truth, verdicts


def test_a_sound_run_is_sealed_and_derives_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, outcomes = run_with(tmp_path, monkeypatch, FakePlace(truth))
    assert verdicts(outcomes) == {"native-old": Verdict.CLEAN, "dom0-old": Verdict.CORRUPTS}
    assert run.exit_code() == 0
    assert run.folder.find_changes() == []
    assert verification.rederive(run.folder)[1] == []
    junit = (run.folder.path / "junit.xml").read_text()
    assert 'failures="0"' in junit
    assert 'errors="0"' in junit


def test_eagerfpu_off_is_added_where_the_version_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = run_with(tmp_path, monkeypatch, FakePlace(truth))
    command = json.loads((run.folder.trial("dom0-old", 1).path / "command.json").read_text())
    assert "eagerfpu=off" in command["args"]
    assert "mmx.stop=40" in command["args"]
    later = json.loads((run.folder.trial("native-old", 1).path / "command.json").read_text())
    asked = int(later["args"].split("mmx.windows=")[1].split()[0])
    assert "mmx.tried=0" in later["args"]  # this program does not count them
    assert 100 <= asked < 2000  # what the control's rate calls for


def test_a_lab_error_is_tried_once_more_and_never_hides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(cell: Cell, boot: int) -> dict[str, Any] | Exception:
        return LabError("QEMU died") if boot == 1 else truth(cell, boot)

    place = FakePlace(once)
    run, outcomes = run_with(tmp_path, monkeypatch, place)
    assert verdicts(outcomes) == {"native-old": Verdict.CLEAN, "dom0-old": Verdict.CORRUPTS}
    assert place.boots.count("native-old") == 2
    assert verification.rederive(run.folder)[1] == []

    always = FakePlace(lambda _cell, _boot: LabError("no disk space"))
    run, outcomes = run_with(tmp_path, monkeypatch, always)
    assert set(verdicts(outcomes).values()) == {Verdict.LAB_ERROR}
    assert always.boots.count("native-old") == 2
    assert run.exit_code() == 4


def test_a_corruption_in_one_of_many_boots_is_never_retried_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second(cell: Cell, boot: int) -> dict[str, Any]:
        return truth(cell, boot) if cell.guest == "dom0" or boot != 2 else {"corruptions": 1}

    run, outcomes = run_with(tmp_path, monkeypatch, FakePlace(second), trials=3)
    assert verdicts(outcomes)["native-old"] is Verdict.CORRUPTS
    assert run.exit_code() == 6
    assert "native-old" in (run.folder.path / "junit.xml").read_text()


def test_a_control_that_stays_clean_makes_the_clean_cells_vacuous(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, outcomes = run_with(tmp_path, monkeypatch, FakePlace(lambda *_: {}))
    assert verdicts(outcomes)["native-old"] is Verdict.VACUOUS
    assert run.exit_code() == 3
    assert "<failure" in (run.folder.path / "junit.xml").read_text()


def test_a_killed_run_resumes_and_repeats_nothing_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = run_with(tmp_path, monkeypatch, FakePlace(truth))
    cut = first.folder.trial("native-old", 1).path
    assert verdicts(first.outcomes()) == {
        "native-old": Verdict.CLEAN, "dom0-old": Verdict.CORRUPTS
    }  # fmt: skip
    for name in ("verdict.json", "ended.json", "records.jsonl", "console.log"):
        (cut / name).unlink()
    again = FakePlace(truth)
    run, outcomes = run_with(tmp_path, monkeypatch, again, folder=first.folder)
    assert again.boots == ["native-old"]
    assert verdicts(outcomes) == {"native-old": Verdict.CLEAN, "dom0-old": Verdict.CORRUPTS}
    assert run.exit_code() == 0


def test_a_corruption_seen_before_the_kill_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = run_with(tmp_path, monkeypatch, FakePlace(truth))
    cut = first.folder.trial("dom0-old", 5).path
    (cut / "verdict.json").unlink()
    (cut / "ended.json").unlink()
    again = FakePlace(lambda *_: {})
    _, outcomes = run_with(tmp_path, monkeypatch, again, folder=first.folder)
    assert again.boots == []
    assert verdicts(outcomes)["dom0-old"] is Verdict.CORRUPTS


def test_verify_finds_what_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = run_with(tmp_path, monkeypatch, FakePlace(truth))
    trial = run.folder.trial("dom0-old", 1).path
    nonce = json.loads((trial / "trial.json").read_text())["nonce"]
    (trial / "console.log").write_bytes(console(nonce=nonce, xen="pv", dom0=1))
    assert "cells/dom0-old/1/console.log: changed" in run.folder.find_changes()
    differences = verification.rederive(run.folder)[1]
    assert "dom0-old/1: written CORRUPTS, derived CLEAN" in differences


@pytest.mark.parametrize(("written", "noted"), [(hash_rules(), 0), ("0" * 16, 1)])
def test_a_verdict_of_another_versions_rules_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    written: str, noted: int,
) -> None:  # fmt: skip
    run, _ = run_with(tmp_path, monkeypatch, FakePlace(truth))
    run.folder.write("manifest.json", {"format": FORMAT, "rules": written})
    cell = run.folder.path / "cells" / "dom0-old" / "1" / "verdict.json"
    cell.write_text(cell.read_text().replace("CORRUPTS", "CRASHED"))
    assert verification.verify(run.folder.path) == 4
    said = capsys.readouterr().out
    assert "written CRASHED, derived CORRUPTS" in said
    assert said.count("judged by other rules") == noted


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a run's folder"):
        RunFolder.open(tmp_path)


def test_an_unforeseen_fault_leaves_no_cell_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The native cell waits for its control, whose boot raises another exception than LabError."""
    place = FakePlace(lambda *_: ZeroDivisionError("oops"))
    with pytest.raises(ZeroDivisionError):
        run_with(tmp_path, monkeypatch, place)
    assert place.boots[0] == "dom0-old"
    folder = next(p for p in (tmp_path / "results").iterdir() if not p.is_symlink())
    assert "internal error, ZeroDivisionError: oops" in (folder / "summary.json").read_text()


def test_a_controls_boots_are_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = threading.Barrier(2)

    def script(cell: Cell, boot: int) -> dict[str, Any]:
        if cell.guest == "dom0":
            pair.wait(60)  # breaks unless another one is under way
        return truth(cell, boot)

    monkeypatch.setattr("lab.trial.limits.cores", lambda: 2)
    run, outcomes = run_with(tmp_path, monkeypatch, FakePlace(script))
    assert verdicts(outcomes) == {"native-old": Verdict.CLEAN, "dom0-old": Verdict.CORRUPTS}
    assert len(run.folder.trials("dom0-old")) == run.config.confidence.control_boots


def test_a_resumed_run_gives_no_number_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of boots side by side a later one may have begun before the kill, and an earlier one not."""
    first, _ = run_with(tmp_path, monkeypatch, FakePlace(truth))
    first.folder.trial("dom0-old", 3).discard()
    again = FakePlace(truth)
    run, _ = run_with(tmp_path, monkeypatch, again, folder=first.folder)
    assert again.boots == ["dom0-old"]
    assert run.folder.last_trial("dom0-old") == 9
    assert verification.rederive(run.folder)[1] == []


class FakeHost:
    """A Xen host that is always ready."""

    def __init__(self, *_: object) -> None:
        self.stopped = False

    def start(self) -> None: ...

    def collect(self) -> None: ...

    def stop(self, keep: bool) -> None:
        self.stopped = not keep


def test_one_processor_is_enough_for_a_host_whose_cells_wait_for_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no hvm control: the hvm cell waits for the dom0 one, which needs the slot."""
    monkeypatch.setattr("lab.trial.limits.cores", lambda: 1)
    monkeypatch.setattr("lab.run.schedule.XenHost", FakeHost)
    place = FakePlace(truth)
    monkeypatch.setattr("lab.run.schedule.HostPlace", lambda _: place)
    text = CONFIG.replace("[native, dom0]", "[dom0, hvm]").replace("native-old", "hvm-old")
    _, outcomes = run_with(tmp_path, monkeypatch, place, text=text)
    assert verdicts(outcomes)["dom0-old"] is Verdict.CORRUPTS
    assert place.boots[-1] == "hvm-old"


def test_an_interrupted_run_begins_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()

    def script(cell: Cell, boot: int) -> dict[str, Any]:
        stop.set()
        return truth(cell, boot)

    monkeypatch.setattr("lab.trial.limits.cores", lambda: 1)
    place = FakePlace(script)
    _, outcomes = run_with(tmp_path, monkeypatch, place, stop=stop)
    assert place.boots == ["dom0-old"]  # the control goes first
    assert verdicts(outcomes)["dom0-old"] is Verdict.CORRUPTS
    assert verdicts(outcomes)["native-old"] is Verdict.LAB_ERROR


def test_a_corruption_whose_verdict_cannot_be_written_is_not_retried_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full right after the boot."""

    def fail(self: TrialFolder, _: object) -> None:
        if self.path.parent.name == "dom0-old":
            raise OSError(errno.ENOSPC, "No space left on device", "verdict.json")

    monkeypatch.setattr(TrialFolder, "write_verdict", fail)
    _, made = run_with(tmp_path, monkeypatch, FakePlace(truth))
    assert verdicts(made)["dom0-old"] is Verdict.CORRUPTS
    (trial, *_) = next(one for one in made if one.cell.id == "dom0-old").trials
    assert trial.notes[-1] == "the trial could not be kept: verdict.json: No space left on device"
