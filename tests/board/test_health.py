# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept of a board's check."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.board import health
from lab.board.health import Part, find_fault, find_folder, read_health, write_health
from lab.config.board import BoardConfig

BOARD = BoardConfig.model_validate(
    {
        "power": {"kind": "ipmi", "address": "bmc1", "user": "u", "password_env": "PW"},
        "console": {"kind": "tcp", "address": "ts1", "port": 7001},
    }
)
GOOD = [Part("power", "ok", "off and on", 3.0), Part("clock", "not checked", "no ssh:")]
BAD = [GOOD[0], Part("console", "failed", "of 64 bytes 1 lost", 1.5)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))


def write_at(when: str, parts: list[Part], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "now", lambda: when)
    write_health(BOARD, parts)


def test_a_board_that_was_never_checked_is_not_refused() -> None:
    assert read_health(BOARD) is None
    assert find_fault("rack1", BOARD) is None


def test_a_failed_check_is_kept_with_its_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    write_at("2026-11-01T00:00:00Z", BAD, monkeypatch)
    write_at("2026-11-02T00:00:00Z", BAD, monkeypatch)
    found = read_health(BOARD)
    assert found is not None
    assert (found.passed, found.since, found.checked[:10]) == (
        False, "2026-11-01T00:00:00Z", "2026-11-02",
    )  # fmt: skip
    assert found.parts == BAD
    assert find_fault("rack1", BOARD) == (
        "the board rack1 is out of the pool since 2026-11-01T00:00:00Z "
        "(console: of 64 bytes 1 lost); `lab board check rack1` lets it in again when it passes"
    )


def test_it_is_in_again_when_it_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    write_at("2026-11-01T00:00:00Z", BAD, monkeypatch)
    write_at("2026-11-02T00:00:00Z", GOOD, monkeypatch)
    assert find_fault("rack1", BOARD) is None
    write_at("2026-11-03T00:00:00Z", BAD, monkeypatch)
    found = read_health(BOARD)
    assert found is not None
    assert found.since == "2026-11-03T00:00:00Z"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2}', '{"format": 1, "parts": [1]}'])
def test_a_file_that_says_nothing_counts_for_nothing(text: str) -> None:
    folder = find_folder(BOARD)
    folder.with_suffix(".json").write_text(text)
    assert read_health(BOARD) is None
