# SPDX-License-Identifier: GPL-2.0-or-later
"""A run with boards beside QEMU: one boot at a time on each, each measured by its own control."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.board.health import Part, write_health
from lab.config.cells import Cell
from lab.config.load import parse
from lab.errors import LabError
from lab.host.shell import free_port
from lab.run.batches import by_board
from lab.verdict.severity import Verdict
from tests.helpers.runs import FakePlace, run_with, truth, verdicts

BOARD = """{power: {kind: command, 'on': [a], 'off': [b, '%d'], status: [c]},
  console: {kind: tcp, address: x, port: 1}, mac: '52:54:00:12:34:5%d',
  boot: {kind: network, address: 10.0.0.1, port: %d}}"""


def text() -> str:
    port = free_port()
    return f"""
boards:
  b1: {BOARD % (1, 1, port)}
  b2: {BOARD % (2, 2, port)}
hosts: {{rack1: {{board: b1}}, rack2: {{board: b2}}}}
kernels: {{old: {{image: old.bzImage}}}}
matrix: {{guests: [native, dom0], hosts: [nested, rack1, rack2]}}
trials: %d
expect: {{corrupts: [dom0-old], clean: [native-old]}}
"""


class Boards:
    """Opens them as open_board does; ``broken`` cannot be had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: FakePlace, broken: str = "") -> None:
        self.broken = broken
        self.opened: list[str] = []
        monkeypatch.setattr("lab.run.boards.open_board", self.open)
        monkeypatch.setattr("lab.run.boards.BoardPlace", lambda *_: place)

    @contextlib.contextmanager
    def open(self, name: str, _config: Any) -> Iterator[None]:
        if name == self.broken:
            raise LabError(f"{name} is held by another lab: pid 7 of somebody")
        self.opened.append(name)
        yield


def test_each_board_boots_one_at_a_time_beside_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: dict[str, int] = {"b1": 0, "b2": 0}
    most: dict[str, int] = dict(running)
    together, lock = threading.Barrier(2), threading.Lock()

    def script(cell: Cell, boot: int) -> dict[str, Any]:
        with lock:
            running[cell.board] += 1
            most[cell.board] = max(most[cell.board], running[cell.board])
        if cell.guest == "dom0" and boot == 1:
            together.wait(60)  # breaks unless the other board boots at the same time
        time.sleep(0.01)
        with lock:
            running[cell.board] -= 1
        return truth(cell, boot)

    own = FakePlace(truth)
    boards = Boards(monkeypatch, FakePlace(script))
    run, outcomes = run_with(tmp_path, monkeypatch, own, text=text())
    assert most == {"b1": 1, "b2": 1}
    assert sorted(boards.opened) == ["b1", "b2"]
    assert set(own.boots) == {"native-old", "dom0-old"}
    assert verdicts(outcomes) == {
        f"{kind}-old{host}": wanted
        for kind, wanted in (("native", Verdict.CLEAN), ("dom0", Verdict.CORRUPTS))
        for host in ("", "@rack1", "@rack2")
    }
    assert run.exit_code() == 0
    facts = json.loads((run.folder.trial("dom0-old@rack2", 1).path / "trial.json").read_text())
    assert facts["board"] == "b2"


def test_a_board_is_measured_by_its_own_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On rack2 the control stays clean: what is clean there proves nothing, elsewhere it does."""

    def script(cell: Cell, boot: int) -> dict[str, Any]:
        return {} if cell.board == "b2" else truth(cell, boot)

    Boards(monkeypatch, FakePlace(script))
    run, outcomes = run_with(tmp_path, monkeypatch, FakePlace(truth), text=text())
    by_id = {outcome.cell.id: outcome for outcome in outcomes}
    assert by_id["native-old"].verdict is Verdict.CLEAN
    assert by_id["native-old@rack1"].verdict is Verdict.CLEAN
    assert "than dom0-old@rack1" in by_id["native-old@rack1"].reason
    silent = by_id["native-old@rack2"]
    assert silent.verdict is Verdict.VACUOUS
    assert "the positive control did not corrupt: dom0-old@rack2" in silent.reason
    assert run.exit_code() == 3


def test_a_board_that_cannot_be_had_leaves_the_others_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Boards(monkeypatch, FakePlace(truth), broken="b1")
    run, outcomes = run_with(tmp_path, monkeypatch, FakePlace(truth), text=text())
    by_id = {outcome.cell.id: outcome for outcome in outcomes}
    assert by_id["dom0-old@rack1"].verdict is Verdict.LAB_ERROR
    assert by_id["native-old@rack1"].reason.startswith("b1 is held by another lab")
    assert by_id["native-old@rack2"].verdict is Verdict.CLEAN
    assert run.exit_code() == 4


def test_a_board_that_failed_its_check_is_not_booted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = text()
    board = parse(made % 1, tmp_path / "lab.yaml").boards["b1"]
    write_health(board, [Part("power", "failed", "b1: the BMC does not answer")])
    place = FakePlace(truth)
    boards = Boards(monkeypatch, place)
    run, outcomes = run_with(tmp_path, monkeypatch, FakePlace(truth), text=made)
    by_id = {outcome.cell.id: outcome for outcome in outcomes}
    for kind in ("native", "dom0"):
        assert by_id[f"{kind}-old@rack1"].verdict is Verdict.LAB_ERROR
        assert by_id[f"{kind}-old@rack1"].reason.startswith("the board b1 is out of the pool since")
        assert "(power: b1: the BMC does not answer); `lab board check b1`" in (
            by_id[f"{kind}-old@rack1"].reason
        )
    assert boards.opened == ["b2"]
    assert by_id["native-old@rack2"].verdict is Verdict.CLEAN
    assert run.exit_code() == 4

    write_health(board, [Part("power", "ok", "off and on")])
    (tmp_path / "again").mkdir()
    run_with(tmp_path / "again", monkeypatch, FakePlace(truth), text=made)
    assert sorted(boards.opened) == ["b1", "b2", "b2"]


def pool_text() -> str:
    port = free_port()
    tagged = BOARD.replace("console:", "tags: [amd], console:")
    return f"""
boards:
  b1: {tagged % (1, 1, port)}
  b2: {tagged % (2, 2, port)}
hosts: {{rack: {{tag: amd}}}}
kernels: {{old: {{image: old.bzImage}}}}
variations: {{a: {{args: a}}, b: {{args: b}}, c: {{args: c}}}}
matrix: {{guests: [native], variations: [plain, a, b, c], hosts: [rack],
  include: [dom0-old@rack]}}
trials: %d
expect: {{corrupts: [dom0-old], clean: ['native-old*']}}
"""


def test_cells_go_to_whichever_board_is_free_each_beside_its_own_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """b2 sits in its first native cell until b1 has done the others."""
    done: list[tuple[str, str]] = []
    others = threading.Event()

    def script(cell: Cell, boot: int) -> dict[str, Any]:
        if cell.guest == "native" and cell.board == "b2":
            assert others.wait(60)
        done.append((cell.id, cell.board))
        if len([1 for name, board in done if name.startswith("native") and board == "b1"]) == 3:
            others.set()
        return truth(cell, boot)

    Boards(monkeypatch, FakePlace(script))
    run, outcomes = run_with(tmp_path, monkeypatch, FakePlace(truth), text=pool_text())
    by_id = {outcome.cell.id: outcome for outcome in outcomes}
    assert set(by_id) == {
        "native-old@rack", "native-old~a@rack", "native-old~b@rack", "native-old~c@rack",
        "dom0-old@rack=b1", "dom0-old@rack=b2",
    }  # fmt: skip
    assert run.exit_code() == 0
    native = [by_id[name] for name in by_id if name.startswith("native")]
    assert sorted(cell.cell.board for cell in native) == ["b1", "b1", "b1", "b2"]
    for outcome in native:
        assert f"than dom0-old@rack={outcome.cell.board} would" in outcome.reason
        facts = run.folder.trials(outcome.cell.id)[0].facts()
        assert facts.board == outcome.cell.board


def test_what_a_board_cannot_do_another_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Boards(monkeypatch, FakePlace(truth), broken="b1")
    run, outcomes = run_with(tmp_path, monkeypatch, FakePlace(truth), text=pool_text())
    found = verdicts(outcomes)
    assert found.pop("dom0-old@rack=b1") is Verdict.LAB_ERROR
    assert found.pop("dom0-old@rack=b2") is Verdict.CORRUPTS
    assert set(found.values()) == {Verdict.CLEAN}
    assert run.exit_code() == 4


def test_without_any_board_each_cell_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Boards, name: str, _config: Any) -> Any:
        raise LabError(f"{name} is held by another lab: pid 7 of somebody")

    monkeypatch.setattr(Boards, "open", refuse)
    Boards(monkeypatch, FakePlace(truth))
    _, outcomes = run_with(tmp_path, monkeypatch, FakePlace(truth), text=pool_text())
    assert set(verdicts(outcomes).values()) == {Verdict.LAB_ERROR}
    assert all("is held by another lab" in outcome.reason for outcome in outcomes)


def test_cells_by_board_keep_their_order() -> None:
    made = [Cell(str(n), "dom0", "x", board=b) for n, b in enumerate(["b1", "", "b2", "b1"])]
    found = {name: [cell.id for cell in cells] for name, cells in by_board(made).items()}
    assert found == {"b1": ["0", "3"], "b2": ["2"]}
