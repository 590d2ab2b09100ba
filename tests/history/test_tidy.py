# SPDX-License-Identifier: GPL-2.0-or-later
"""Old evidence removed: only what may go goes, and its verdicts stay."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.config.keep import KeepConfig
from lab.history.index import open_index
from lab.history.stone import stone_path
from lab.history.tidy import measure, plan, tidy
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict
from tests.helpers.nights import control, outcome, write_run

NIGHTS = [f"2026110{day}T020000Z" for day in range(1, 8)]


def name(night: str, tail: str = "abcd") -> str:
    return f"{night}-{tail}"


def night(results: Path, number: int, cells: Sequence[CellVerdict] | None = None) -> Path:
    cells = cells or [control(), outcome("dom0-mine")]
    return write_run(results, name(NIGHTS[number]), cells, night=NIGHTS[number]).path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for number in range(7):
        night(tmp_path, number)
    return tmp_path


def gone(results: Path, nights: int | None = 3, gib: float | None = None) -> list[str]:
    with open_index(results) as index:
        made = tidy(index, KeepConfig(nights=nights, gib=gib))
    return [going.run.id[:8] for going in made.going]


def test_nights_that_are_too_old(results: Path) -> None:
    with open_index(results) as index:
        before = index.results()
        decided = plan(index, KeepConfig(nights=3, gib=None))
    assert [going.why for going in decided.going] == ["older than the last 3 nights"] * 4
    assert len(list(results.glob("2026*"))) == 7  # a plan touches nothing
    assert gone(results) == ["20261101", "20261102", "20261103", "20261104"]
    assert len(list(results.glob("2026*"))) == 3
    for anew in (False, True):
        with open_index(results, anew) as index:
            assert index.results() == before
            assert [run.removed for run in index.runs()] == [True] * 4 + [False] * 3
            assert all(run.ended for run in index.runs())
    assert gone(results) == []


def test_as_many_as_the_disk_may_hold(results: Path) -> None:
    one = measure(results / name(NIGHTS[0]))
    wanted = 3.5 * one / (1 << 30)
    with open_index(results) as index:
        decided = plan(index, KeepConfig(nights=None, gib=wanted))
    assert (decided.size, decided.left, decided.enough) == (7 * one, 3 * one, True)
    assert gone(results, None, wanted) == ["20261101", "20261102", "20261103", "20261104"]


def test_the_newest_night_stays_however_little_may_be_kept(results: Path) -> None:
    with open_index(results) as index:
        decided = tidy(index, KeepConfig(nights=None, gib=1e-9))
    assert len(decided.going) == 6
    assert not decided.enough
    assert [path.name for path in results.glob("2026*")] == [name(NIGHTS[6])]


def test_what_was_not_as_expected_stays(results: Path) -> None:
    for number, cell in enumerate((
        outcome("dom0-mine", Verdict.CORRUPTS), outcome("dom0-mine", Verdict.LAB_ERROR),
        outcome("dom0-mine", Verdict.VACUOUS), outcome("dom0-bad", expect="corrupts"),
    )):  # fmt: skip
        shutil.rmtree(results / name(NIGHTS[number]))
        night(results, number, [cell, outcome("native-mine")])
    assert gone(results, 1) == ["20261105", "20261106"]


def test_a_cell_that_is_impossible_here_does_not_hold_its_run(results: Path) -> None:
    shutil.rmtree(results / name(NIGHTS[0]))
    night(results, 0, [control(), outcome("pv-mine", None, boots=())])
    assert gone(results, 6) == ["20261101"]


def test_what_is_not_an_ended_run_of_a_night_stays(results: Path) -> None:
    for number in (0, 1, 2, 3):
        shutil.rmtree(results / name(NIGHTS[number]))
    write_run(results, name(NIGHTS[0]), [control()])  # by hand
    write_run(results, name(NIGHTS[1]), [control()], night=NIGHTS[1], sealed=False)
    write_run(results, name(NIGHTS[2], "mine"), [control()], night=NIGHTS[2])
    night(results, 3)
    (results / "latest").symlink_to(name(NIGHTS[3]))
    assert gone(results, 1) == ["20261105", "20261106"]


@pytest.mark.parametrize("where", ["notes.txt", "cells/notes.txt", "host/.hidden"])
def test_a_folder_with_anything_of_somebodys_stays(results: Path, where: str) -> None:
    path = results / name(NIGHTS[0]) / where
    path.parent.mkdir(exist_ok=True)
    path.write_text("what I saw that night")
    assert "20261101" not in gone(results)
    assert path.read_text() == "what I saw that night"


def test_a_link_is_neither_followed_nor_removed(results: Path, tmp_path_factory: pytest.TempPathFactory) -> None:  # fmt: skip # noqa: E501
    outside = tmp_path_factory.mktemp("outside")
    (outside / "precious").write_text("kept")
    (results / name(NIGHTS[0]) / "link").symlink_to(outside)
    real = results / name(NIGHTS[1])
    shutil.move(real, outside / real.name)
    real.symlink_to(outside / real.name)
    assert gone(results) == ["20261103", "20261104"]
    assert (outside / "precious").read_text() == "kept"
    assert (outside / real.name / "manifest.json").is_file()


def test_pages_go_with_their_run(results: Path) -> None:
    (results / name(NIGHTS[0]) / "page").mkdir()
    (results / name(NIGHTS[0]) / "page" / "index.html").write_text("<p>")
    assert gone(results)[0] == "20261101"


@pytest.mark.parametrize("step", ["rename", "rmtree"])
def test_killed_at_any_moment_a_run_is_whole_or_has_its_stone(
    results: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with open_index(results) as index:
        before = index.results()
    monkeypatch.setattr(Path if step == "rename" else shutil, step, die)
    with pytest.raises(Killed):
        gone(results)
    monkeypatch.undo()
    assert stone_path(results, name(NIGHTS[0])).is_file()
    with open_index(results, anew=True) as index:
        assert index.results() == before
    first = [] if step == "rmtree" else ["20261101"]
    assert gone(results) == [*first, "20261102", "20261103", "20261104"]
    assert list(results.glob(".removing*")) == []


def test_only_our_own_leavings_are_swept(results: Path) -> None:
    for left in (".removing-20261201T020000Z-abcd", ".removing-mine"):
        (results / left).mkdir()
    gone(results)
    assert (results / ".removing-20261201T020000Z-abcd").is_dir()  # it has no stone
    assert (results / ".removing-mine").is_dir()
