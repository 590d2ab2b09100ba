# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab board`, as it is typed, for boards that nothing has to be asked about."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from lab.board import lock
from lab.board.health import Part, write_health
from lab.board.lock import hold
from lab.cli.main import app
from lab.config.load import load
from lab.errors import LabError, UserError
from lab.system.clock import now

BOARD = {
    "power": {"kind": "ipmi", "address": "bmc1", "user": "u", "password_env": "PW"},
    "console": {"kind": "tcp", "address": "ts1", "port": 7001},
    "tags": ["amd", "svm"],
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "FOLDER", tmp_path / "boards")
    monkeypatch.setattr(lock, "_GLANCE_SECONDS", 0.0)
    path = tmp_path / "lab.yaml"
    path.write_text(
        yaml.safe_dump({"kernels": {"k": {"control": "bad"}}, "boards": {"rack1": BOARD}})
    )
    return path


def run(*words: object) -> str:
    done = CliRunner().invoke(app, ["board", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_boards_are_listed_with_who_has_them(config: Path) -> None:
    heading, row = run("list", "-c", config).splitlines()
    assert heading.split() == ["board", "power", "console", "boot", "tags", "check", "held"]
    assert "rack1  ipmi   tcp ts1 port 7001  -     amd,svm  never  nobody has it" in row
    with hold("rack1", load(config).boards["rack1"]):
        assert f"held by pid {os.getpid()} of " in run("list", "-c", config)


def test_a_board_that_failed_its_check_is_listed_with_the_reason(config: Path) -> None:
    board = load(config).boards["rack1"]
    write_health(board, [Part("console", "failed", "of 64 bytes 1 lost", 1.0)])
    _, row, said = run("list", "-c", config).splitlines()
    assert f"  FAILED {now()[:10]}  nobody has it" in row
    assert said.startswith("the board rack1 is out of the pool since ")
    assert "(console: of 64 bytes 1 lost); `lab board check rack1` lets it in again" in said
    write_health(board, [Part("console", "ok", "none lost", 1.0)])
    assert run("list", "-c", config).splitlines()[1:] == [
        f"rack1  ipmi   tcp ts1 port 7001  -     amd,svm  passed {now()[:10]}  nobody has it"
    ]


def test_no_boards_is_said(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("kernels: {k: {control: bad}}\n")
    assert "has no boards (docs/boards.md" in run("list", "-c", path)


@pytest.mark.parametrize("action", ["status", "on", "off", "console", "check"])
def test_an_unknown_board_is_bad_input(config: Path, action: str) -> None:
    with pytest.raises(UserError, match=r"there is no board 'rack2' .* \(rack1\)"):
        run(action, "rack2", "-c", config)


@pytest.mark.parametrize(
    "words", [["list"], *([a, "rack1"] for a in ("status", "on", "console", "check"))]
)
def test_without_the_extra_every_command_says_what_to_install(
    config: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    found = importlib.util.find_spec

    def find(name: str) -> object:
        return None if name in ("labgrid", "sushy") else found(name)

    monkeypatch.setattr(importlib.util, "find_spec", find)
    said = r"not installed \(labgrid, sushy\): `make setup BOARDS=1`, or `pip install 'xen-fpu-lab"
    with pytest.raises(LabError, match=said):
        run(*words, "-c", config)
