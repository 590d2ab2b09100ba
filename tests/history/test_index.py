# SPDX-License-Identifier: GPL-2.0-or-later
"""The index: what it says of run folders, and that it always says what the folders say."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import UserError
from lab.history import gather, store
from lab.history.index import FILE, Index, open_index
from lab.history.stone import write_stone
from lab.verdict.severity import Verdict
from tests.helpers.nights import INPUTS, control, outcome, write_run
from tests.helpers.project import PROJECT

FIRST, SECOND = "20261101T020000Z-aaaa", "20261102T020000Z-bbbb"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    clean = outcome("dom0-mine", reason="0 corruptions")
    write_run(tmp_path, SECOND, [control(), clean], night="20261102T020000Z", job="quick")
    write_run(tmp_path, FIRST, [control(), clean], night="20261101T020000Z", job="quick")
    return tmp_path


def content(index: Index) -> tuple[object, ...]:
    return index.runs(), index.results(), index.nights(), index.cells()


def test_what_a_run_and_its_cells_say(results: Path) -> None:
    with open_index(results) as index:
        assert [run.id for run in index.runs()] == [FIRST, SECOND]
        run = index.runs()[0]
        assert (run.night, run.job, run.ended, run.seconds) == (
            "20261101T020000Z", "quick", True, 60.0,
        )  # fmt: skip
        found = index.results(cell="dom0-mine")
        assert [result.run for result in found] == [FIRST, SECOND]
        result = found[0]
        assert result.verdict is Verdict.CLEAN
        assert (result.began, result.host, result.control) == (
            "2026-11-01T02:00:00Z", "nested", "dom0-bad",
        )  # fmt: skip
        assert (result.windows, result.hits, result.boots) == (1000, 0, ((500, 0), (500, 0)))
        assert result.inputs == {
            "kernel": f"7.1.0 commit {'2' * 12} {'1' * 12}",
            "xen": "4.17.7 075d2ef5",
            "qemu": "7.2.22",
            "firmware": f"bios-256k.bin {'4' * 12}",
            "accelerator": "tcg",
            "program": "3899207eceb2",
            "settings": "as by default",
            "stress": "12 s, stop auto",
            "machine": "AMD EPYC, 2 cores, 6.1.0-40-amd64",
            "rules": "a1b2c3d4e5f60718",
        }
        bad = index.results(run=SECOND)[0]
        assert (bad.cell, bad.expected, bad.as_expected, bad.control) == (
            "dom0-bad", "corrupts", True, None,
        )  # fmt: skip
        assert bad.corruptions == 2 * bad.hits == 2 * 8 * 150
        assert index.nights() == ["20261101T020000Z", "20261102T020000Z"]
        assert index.cells() == ["dom0-bad", "dom0-mine"]
        assert {r.run for r in index.results(night="20261102T020000Z")} == {SECOND}


def test_only_what_changed_is_read_again(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = gather.read_run

    def spy(root: Path, path: Path, stamp: str) -> object:
        read.append(path.name)
        return real(root, path, stamp)

    monkeypatch.setattr("lab.history.index.read_run", spy)
    open_index(results).close()
    assert sorted(read) == [FIRST, SECOND]
    read.clear()
    open_index(results).close()
    assert read == []
    path = results / SECOND / "summary.json"
    body = json.loads(path.read_text())
    body["cells"][1] |= {"verdict": "CORRUPTS", "as_expected": False}
    path.with_suffix(".new").write_text(json.dumps(body))
    os.replace(path.with_suffix(".new"), path)
    write_run(results, "20261103T020000Z-cccc", [control()])
    shutil.rmtree(results / FIRST)
    with open_index(results) as index:
        assert sorted(read) == [SECOND, "20261103T020000Z-cccc"]
        assert [run.id[:8] for run in index.runs()] == ["20261102", "20261103"]
        assert [r.verdict for r in index.results(cell="dom0-mine")] == [Verdict.CORRUPTS]
        as_it_is = content(index)
    with open_index(results, anew=True) as index:
        assert content(index) == as_it_is


def test_folders_that_are_not_sound_runs(results: Path) -> None:
    (results / "README.md").write_text("a page")
    (results / "other").mkdir()
    (results / "latest").symlink_to(FIRST)
    (results / "20261104T020000Z-dddd").mkdir()  # killed before its manifest
    broken = write_run(results, "20261105T020000Z-eeee", [control()]).path
    (broken / "summary.json").write_text("{")
    bisect = results / "20261106T020000Z-ffff"
    bisect.mkdir()
    (bisect / "manifest.json").write_text(json.dumps({"format": 1, "bisect": True}))
    with open_index(results) as index:
        assert [run.id[:8] for run in index.runs()] == [
            "20261101", "20261102", "20261105", "20261106",
        ]  # fmt: skip
        assert len(index.results()) == 4
        assert index.runs()[3].began == "2026-11-06T02:00:00Z"  # from its name


def test_a_run_that_is_under_way(results: Path) -> None:
    waiting = outcome("dom0-mine", Verdict.LAB_ERROR, boots=(), reason="not run yet")
    write_run(results, "20261103T020000Z-cccc", [control(), waiting], sealed=False)
    with open_index(results) as index:
        assert [r.cell for r in index.results(run="20261103T020000Z-cccc")] == ["dom0-bad"]
        assert [run.ended for run in index.runs()] == [True, True, False]


def test_a_cell_that_is_impossible_here(results: Path) -> None:
    gone = outcome("pv-mine", None, boots=(), reason="no PV support in this kernel")
    write_run(results, "20261103T020000Z-cccc", [control(), gone])
    with open_index(results) as index:
        found = index.results(cell="pv-mine")
        assert [(r.verdict, r.reason) for r in found] == [(None, "no PV support in this kernel")]


def test_a_boot_that_the_lab_spoiled_is_not_among_the_boots(results: Path) -> None:
    folder = write_run(results, "20261103T020000Z-cccc", [control()])
    body = folder.read("summary.json")
    body["cells"][0]["trials"][0]["verdict"] = "LAB_ERROR"
    folder.write("summary.json", body)
    with open_index(results) as index:
        assert len(index.results(run="20261103T020000Z-cccc")[0].boots) == 7


def test_a_stone_is_read_as_its_folder_was(results: Path) -> None:
    with open_index(results) as index:
        before = index.results(run=FIRST)
    folder = results / FIRST
    write_stone(results, folder)
    with open_index(results) as index:
        assert not index.runs()[0].removed  # as long as the folder is there too
    shutil.rmtree(folder)
    for anew in (False, True):
        with open_index(results, anew) as index:
            assert index.results(run=FIRST) == before
            assert [(run.id, run.removed) for run in index.runs()] == [
                (FIRST, True), (SECOND, False),
            ]  # fmt: skip


def test_tables_of_another_version_are_made_anew(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_index(results) as index:
        wanted = content(index)
    monkeypatch.setattr(store, "VERSION", store.VERSION + 1)
    with open_index(results) as index:
        assert content(index) == wanted
    version = sqlite3.connect(results / FILE).execute("PRAGMA user_version").fetchone()
    assert version == (store.VERSION,)


def test_a_damaged_index_is_made_anew_and_kept_aside(results: Path) -> None:
    (results / FILE).write_bytes(b"this is not a database, whatever its name says" * 99)
    with open_index(results) as index:
        assert len(index.runs()) == 2
    assert (results / f"{FILE}.damaged").read_bytes().startswith(b"this is not")
    assert (results / FILE).read_bytes().startswith(b"SQLite format 3")


def test_a_page_of_the_index_was_overwritten(results: Path) -> None:
    open_index(results).close()
    with (results / FILE).open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 4096)
    with open_index(results) as index:
        assert len(index.results()) == 4


def test_a_database_of_something_else_is_left_alone(results: Path) -> None:
    with sqlite3.connect(results / FILE) as other:
        other.execute("CREATE TABLE precious (thing TEXT)")
    with pytest.raises(UserError, match="not the lab's history"):
        open_index(results)
    assert sqlite3.connect(results / FILE).execute("SELECT * FROM precious").fetchall() == []


def test_a_file_that_cannot_be_written_is_done_without(results: Path) -> None:
    (results / FILE).mkdir()
    with open_index(results) as index:
        assert len(index.results()) == 4


def test_a_folder_that_is_not_there_has_an_empty_history(tmp_path: Path) -> None:
    with open_index(tmp_path / "nowhere") as index:
        assert content(index) == ([], [], [], [])
    assert not (tmp_path / "nowhere").exists()


def test_processes_that_open_it_at_once_agree(results: Path) -> None:
    """Each writes runs of its own, refreshes and reads, from an index that is not there yet."""
    text = (
        "import sys; from pathlib import Path; from lab.history.index import open_index\n"
        "from tests.helpers.nights import control, write_run\n"
        "for n in range(5):\n"
        "    write_run(Path(sys.argv[1]), f'2026120{n}T0{sys.argv[2]}0000Z-abcd', [control()])\n"
        "    with open_index(Path(sys.argv[1])) as index:\n"
        "        runs, seen = {run.id for run in index.runs()}, {r.run for r in index.results()}\n"
        "        assert seen <= runs, 'half of a refresh was seen'\n"
        "        assert len([r for r in seen if f'T0{sys.argv[2]}0000Z' in r]) >= n + 1\n"
    )
    at_once = [
        subprocess.Popen([sys.executable, "-c", text, str(results), str(number)], cwd=PROJECT)
        for number in range(4)
    ]
    assert [process.wait(120) for process in at_once] == [0] * 4
    with open_index(results) as index:
        assert len(index.runs()) == 22
        seen = content(index)
    with open_index(results, anew=True) as index:
        assert content(index) == seen


def test_inputs_that_a_manifest_does_not_name_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path, FIRST, [control()], supplies={}, machine={}, rules="")
    with open_index(tmp_path) as index:
        assert index.results()[0].inputs == {
            "settings": "as by default", "stress": "12 s, stop auto",
        }  # fmt: skip
    assert INPUTS["rules"]


def test_a_known_bugs_label_goes_with_its_failure(tmp_path: Path) -> None:
    """And follows when a run that came before is read later."""
    bug = {"dom0-b*": "xen bug 40"}
    for day, known in ((2, bug), (3, bug), (4, bug)):
        found = control() if day != 3 else outcome("dom0-bad", expect="corrupts")
        write_run(tmp_path, f"2026110{day}T020000Z-abcd", [found], known)
    with open_index(tmp_path) as index:
        assert [r.known for r in index.results()] == ["xen bug 40", None, None]
    shutil.rmtree(tmp_path / "20261103T020000Z-abcd")
    with open_index(tmp_path) as index:
        assert [r.known for r in index.results()] == ["xen bug 40", "xen bug 40"]
