# SPDX-License-Identifier: GPL-2.0-or-later
"""Nights of made-up kernels, from `lab nightly` to what the morning reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.config.cells import Cell
from lab.errors import LabError, UserError
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.nightly import command
from lab.nightly.lock import hold_machine
from lab.nightly.night import Change, Night
from lab.nightly.order import estimate
from lab.nightly.summary import find_exit_code
from lab.page.write import write_pages
from tests.helpers.nightlab import BAD, CLEAN, CONFIG, DAY, by_kernel, set_up


def test_a_night_looks_at_its_controls_first_and_then_does_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    assert lab.night() == Exit.OK
    night = lab.last()
    assert night.state == "ended"
    assert [(s.host, s.control, s.state) for s in night.sights] == [
        ("nested", "dom0-control", "sees")
    ]
    assert [(job.job, job.state) for job in night.jobs] == [("first", "done"), ("second", "done")]
    assert night.sentence == "4 cells, all as expected"
    assert lab.places[0].boots[0] == "dom0-control"
    for name, job in ((night.sights[0].run, "health"), (night.jobs[0].runs[0], "first")):
        manifest = RunFolder(lab.results / name).manifest()
        assert (manifest["night"], manifest["job"]) == (night.night, job)
    assert (lab.results / "nights" / night.night / "summary.txt").is_file()


def test_a_control_that_stays_clean_is_blind_and_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel(control=CLEAN, mine=BAD))
    assert lab.night() == Exit.VACUOUS
    night = lab.last()
    assert night.sentence.startswith("blind: ")
    assert [job.state for job in night.jobs] == ["blind", "blind"]
    assert [job.outcomes for job in night.jobs] == [[], []]
    assert "dom0-mine" not in lab.places[0].boots


def test_one_silent_boot_of_a_control_is_not_blindness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.script = lambda cell, count: (
        BAD if cell.kernel == "control" and count > 1 else {**CLEAN, "windows": 100}
    )
    lab.night()
    night = lab.last()
    assert [sight.state for sight in night.sights] == ["sees"]
    assert lab.places[0].boots[:2] == ["dom0-control", "dom0-control"]


def test_a_lab_that_cannot_boot_its_control_is_blind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.unready["control"] = LabError("the control does not build")
    assert lab.night() == Exit.LAB_ERROR
    assert "the control does not build" in lab.last().sentence


def test_a_clean_cell_that_corrupts_is_booted_again_beside_its_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.night()
    first = lab.last().night
    lab.at += DAY
    lab.script = by_kernel(mine=BAD)
    lab.versions["mine"] = "3.19.9"
    assert lab.night() == Exit.CORRUPTS
    night = lab.last()
    (change,) = night.changes
    assert (change.cell, change.was, change.now) == ("dom0-mine", "CLEAN", "CORRUPTS")
    assert change.since == first
    assert change.confirmed is True
    assert change.confirm is not None
    assert change.confirm.run not in ("", night.jobs[0].runs[0])
    assert any("3.19.8" in text and "3.19.9" in text for text in change.inputs), change.inputs
    assert change.capsule is not None
    assert change.capsule.state == "left out"
    assert f"dom0-mine corrupts, it was clean in {first}, seen again" in night.sentence


def test_a_corruption_that_is_not_seen_again_stays_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.night()
    lab.at += DAY
    lab.script = lambda cell, count: (
        BAD if cell.kernel == "control" or (cell.kernel == "mine" and count == 2) else CLEAN
    )
    lab.places[0].boots = [b for b in lab.places[0].boots if b != "dom0-mine"] + ["dom0-mine"]
    assert lab.night() == Exit.CORRUPTS
    (change,) = lab.last().changes
    assert change.confirmed is False
    assert "not seen again" in lab.last().sentence


def test_a_corruption_where_nothing_was_expected_is_news_too() -> None:
    change = Change(
        cell="dom0-any", job="first", was="CLEAN", now="CORRUPTS", since="", reason="", run="",
        follow=True,
    )  # fmt: skip
    night = Night(night="n", began="", start=0.0, budget=1.0, command="", config="")
    assert find_exit_code(night) == Exit.OK
    assert find_exit_code(night.model_copy(update={"changes": [change]})) == Exit.CORRUPTS


def test_a_cell_that_always_corrupts_is_not_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel(mine=BAD))
    for _ in range(2):
        assert lab.night() == Exit.CORRUPTS
        lab.at += DAY
    assert lab.last().changes == []
    assert lab.last().sentence == "not as expected: dom0-mine (4 cells)"


def test_a_corruption_that_is_gone_is_a_change_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel(mine=BAD))
    lab.night()
    lab.at += DAY
    lab.script = by_kernel()
    assert lab.night() == Exit.OK
    (change,) = lab.last().changes
    assert (change.was, change.now, change.follow) == ("CORRUPTS", "CLEAN", False)


def test_what_does_not_fit_is_said_and_comes_first_in_the_next_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.night()
    known = lab.last().jobs[1].seconds
    assert known
    lab.at += DAY
    # Enough for the look at the control and one job.
    lab.text = CONFIG.replace("nightly:", f"nightly:\n  budget: {int(10 + 1.5 * known)}s")
    assert lab.night() == Exit.OK
    night = lab.last()
    assert [(job.job, job.state) for job in night.jobs] == [("first", "done"), ("second", "moved")]
    assert "no time for second" in night.sentence
    assert night.left == ["second"]
    lab.at += DAY
    lab.night()
    assert [(job.job, job.state) for job in lab.last().jobs] == [
        ("second", "done"), ("first", "moved"),
    ]  # fmt: skip


def test_a_night_of_one_job_does_not_forget_what_another_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.night()
    lab.at += DAY
    lab.text = CONFIG.replace("nightly:", "nightly:\n  budget: 50s")
    lab.night()
    assert lab.last().left == ["second"]
    lab.at += DAY
    lab.night("first")
    assert lab.last().left == ["second"]


def test_a_job_that_cannot_run_does_not_stop_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.unready["mine"] = UserError("kernels.mine: there is no file")
    assert lab.night() == Exit.LAB_ERROR
    assert [job.state for job in lab.last().jobs] == ["failed", "done"]
    assert "not run: first" in lab.last().sentence


class Killed(BaseException):
    """Like SIGKILL: nothing of ours catches it."""


def test_a_night_that_was_cut_off_is_continued_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())

    def dies(cell: Cell, _: int) -> dict[str, Any]:
        if cell.kernel == "other":
            raise Killed
        return BAD if cell.kernel == "control" else CLEAN

    lab.script = dies
    with pytest.raises(Killed):
        lab.night()
    night = lab.last()
    assert night.state == "running"
    assert [(job.job, job.state) for job in night.jobs] == [
        ("first", "done"),
        ("second", "running"),
    ]
    boots = len(lab.places[0].boots)
    lab.script = by_kernel()
    lab.at += 3600
    assert lab.night() == Exit.OK
    assert [n.night for n in lab.nights()] == [night.night]
    assert len(lab.last().resumed) == 1
    assert lab.last().jobs[1].runs == night.jobs[1].runs
    assert lab.places[0].boots[boots:] == ["dom0-other"]


def test_a_night_that_was_cut_off_yesterday_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, lambda _cell, _count: _raise(Killed()))
    with pytest.raises(Killed):
        lab.night()
    lab.at += DAY
    lab.script = by_kernel()
    assert lab.night() == Exit.OK
    assert [night.state for night in lab.nights()] == ["given up", "ended"]


def _raise(error: BaseException) -> dict[str, Any]:
    raise error


def test_a_full_disk_is_one_sentence_and_the_night_can_be_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    monkeypatch.setattr("lab.nightly.desk.NEEDED_MIB", 1 << 40)
    with pytest.raises(LabError, match=r"the disk is full, only \d+ MiB are free"):
        lab.night()
    assert lab.last().state == "running"
    monkeypatch.setattr("lab.nightly.desk.NEEDED_MIB", 1)
    assert lab.night() == Exit.OK
    assert len(lab.nights()) == 1


def test_a_disk_that_fills_up_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lab.evidence.run.write_atomic", fail)
        with pytest.raises(LabError, match="the disk is full"):
            lab.night()
    assert lab.night() == Exit.OK


def test_there_is_one_night_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    with hold_machine():
        assert lab.night() == Exit.BUSY
    assert "another night is under way on this machine: pid" in capsys.readouterr().out
    assert lab.nights() == []
    assert lab.night() == Exit.OK


def test_a_dry_run_says_what_would_run_and_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    command.describe(lab.config(), lab.config_path, lab.results, [])
    assert "not known" in capsys.readouterr().out
    assert not lab.results.exists()
    lab.night()
    capsys.readouterr()
    command.describe(lab.config(), lab.config_path, lab.results, [])
    assert f"about {lab.last().jobs[0].seconds:.0f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("cells: [dom0-none]", "nightly.jobs.first: the command line: 'dom0-none' matches no cell"),
        ("plan: nothing", "nightly.jobs.first.plan nothing: there is no such plan"),
    ],
)
def test_a_job_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, says: str
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.text = CONFIG.replace("cells: [dom0-mine]", change)
    with pytest.raises(UserError, match=says.replace(".", r"\.")):
        lab.night()
    assert lab.nights() == []


def test_night_json_is_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.night()
    path = lab.results / "nights" / lab.last().night / "night.json"
    assert json.loads(path.read_text())["format"] == 1


BOARDS = """
boards:
  rack1:
    power: {kind: command, "on": ["true"], "off": ["true"], status: ["true"]}
    console: {kind: rfc2217, address: 127.0.0.1, port: 9}
    mac: "52:54:00:12:34:56"
    boot: {kind: network, address: 127.0.0.1, listen: 127.0.0.1}
hosts: {rack1: {board: rack1}}
"""


def test_a_board_that_failed_its_check_leaves_the_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.text = BOARDS + CONFIG.replace("[dom0-mine]", "[dom0-mine], hosts: [nested, rack1]")
    monkeypatch.setattr("lab.nightly.health.find_fault", lambda name, _: f"{name} is out")
    assert lab.night() == Exit.LAB_ERROR
    night = lab.last()
    assert night.out_of_pool == {"rack1": "rack1 is out"}
    assert [(s.host, s.state) for s in night.sights] == [("nested", "sees"), ("rack1", "blind")]
    assert night.jobs[0].notes == ["2 cells left out: their control is blind tonight"]
    assert {o.host for job in night.jobs for o in job.outcomes} == {"nested"}
    assert "blind where dom0-control@rack1 on rack1 should corrupt" in night.sentence


def test_the_summary_is_sent_and_the_pages_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    monkeypatch.setattr("lab.nightly.morning.write_pages", write_pages)
    lab.text = f"{CONFIG}\nnotify: {{command: [cp, /dev/stdin, {tmp_path}/sent]}}\n"
    assert lab.night() == Exit.OK
    night = lab.last()
    summary = (lab.results / "nights" / night.night / "summary.txt").read_text()
    assert (tmp_path / "sent").read_text() == summary
    assert night.sentence in (lab.results / "page" / "index.html").read_text()
    assert night.notes == []


def test_what_cannot_be_sent_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.text = f"{CONFIG}\nnotify: {{command: [/none/such]}}\n"
    assert lab.night() == Exit.OK
    assert lab.last().state == "ended"
    assert lab.last().notes == [
        "notify.command: /none/such cannot be run (No such file or directory)"
    ]


def test_a_full_disk_is_sent_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.text = f"{CONFIG}\nnotify: {{command: [cp, /dev/stdin, {tmp_path}/sent]}}\n"
    monkeypatch.setattr("lab.nightly.desk.NEEDED_MIB", 1 << 40)
    with pytest.raises(LabError, match="the disk is full"):
        lab.night()
    assert "stopped: " in (tmp_path / "sent").read_text()


def test_a_job_that_was_continued_says_nothing_about_how_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel())
    lab.night()
    whole = lab.last().jobs[1].seconds
    lab.at += DAY
    lab.script = lambda cell, _: _raise(Killed()) if cell.kernel == "other" else BAD
    with pytest.raises(Killed):
        lab.night()
    lab.script = by_kernel()
    lab.night()
    assert lab.last().jobs[1].continued
    assert estimate("second", lab.nights()) == whole
