# SPDX-License-Identifier: GPL-2.0-or-later
"""The board: what is reported when, also while several boots of one cell run."""

from __future__ import annotations

from lab.report.board import Board, join


def board_and_lines() -> tuple[Board, list[str]]:
    lines: list[str] = []
    return Board(lambda row, text: lines.append(f"{row.name} {text}")), lines


def test_a_repeated_state_is_not_reported() -> None:
    board, lines = board_and_lines()
    board.state("dom0-x", "booting")
    board.state("dom0-x", "booting")
    assert lines == ["dom0-x booting"]


def test_boots_side_by_side_do_not_talk_over_each_other() -> None:
    board, lines = board_and_lines()
    for _ in range(3):
        board.boot("dom0-x", 1, "stressing")
        board.boot("dom0-x", 2, "booting")
    assert lines == ["dom0-x boot 1: stressing", "dom0-x boot 2: booting"]
    assert board.rows[0].state == "boot 1: stressing; boot 2: booting"
    board.end_boot("dom0-x", 1)
    assert board.rows[0].state == "boot 2: booting"
    board.end_boot("dom0-x", 2)
    assert board.rows[0].state == "boot 2: booting"  # until something else is known


def test_boots_in_the_same_state_are_joined() -> None:
    assert join({3: "stressing", 1: "stressing"}) == "boots 1, 3: stressing"


def test_counts_are_of_all_boots() -> None:
    board, lines = board_and_lines()
    board.boot("dom0-x", 1, "stressing")
    board.counts("dom0-x", 100, 0, 1)
    board.counts("dom0-x", 50, 2, 2)
    board.counts("dom0-x", 120, 0, 1)
    row = board.rows[0]
    assert (row.windows, row.corruptions) == (170, 2)
    assert lines[-1].startswith("dom0-x corruption seen after ")
    board.counts("dom0-x", 60, 3, 2)
    assert len(lines) == 2


def test_a_note_is_heard_and_is_not_a_state() -> None:
    heard: list[str] = []
    board = Board(lambda _row, text: heard.append(text))
    board.state("kernel", "configuring")
    board.state("kernel", "note: it is so")
    assert heard == ["configuring", "note: it is so"]
    assert board.rows[0].state == "configuring"
