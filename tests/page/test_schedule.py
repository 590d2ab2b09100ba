# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's schedule, from what the board was shown to the drawing."""

from __future__ import annotations

import re
from dataclasses import asdict

from lab.page.schedule import draw_schedule, read_spans
from lab.report.board import Board, Span


def test_the_board_keeps_every_state_once_and_waits_only_while_nothing_runs() -> None:
    board = Board()
    board.add("a")
    board.wait("a", "its control")
    board.wait("a", "a free place")
    board.boot("a", 1, "booting")
    board.boot("a", 1, "booting")
    board.wait("a", "a free place")
    board.boot("a", 1, "stressing")
    board.end_boot("a", 1)
    board.finish("a", None, "", None)
    states = [(span.boot, span.state) for span in board.spans]
    assert states == [
        (0, "waiting for its control"), (0, "waiting for a free place"), (1, "booting"),
        (1, "stressing"),
    ]  # fmt: skip
    assert all(one.end <= two.begin for one, two in zip(board.spans, board.spans[1:], strict=False))


def test_what_is_under_way_lasts_until_now() -> None:
    board = Board()
    board.state("a", "building")
    (span,) = board.spans
    assert span.end >= span.begin
    assert board.spans[0].end > span.end


def test_a_wait_stands_before_the_boot_that_it_was_for() -> None:
    spans = [
        Span("c", 0, "waiting for a free place", 0, 1), Span("c", 1, "booting", 1, 5),
        Span("x", 0, "waiting for its control c", 0, 5), Span("x", 1, "stressing", 5, 9),
        Span("x", 0, "waiting for a free place", 9, 12), Span("x", 2, "stressing", 12, 20),
    ]  # fmt: skip
    drawing = draw_schedule(read_spans({"spans": [asdict(span) for span in spans]}))
    rows = re.findall(r'<text class="e" [^>]*>([^<]*)</text>', drawing)
    assert rows == ["c", "x", "boot 2"], "what ran first is first"
    bars = re.findall(r'<rect class="bar (\w+)" x="[\d.]+" y="([\d.]+)"', drawing)
    assert bars == [
        ("wait", "13"), ("boot", "13"), ("wait", "33"), ("stress", "33"), ("wait", "53"),
        ("stress", "53"),
    ]  # fmt: skip


def test_what_is_not_understood_is_left_out() -> None:
    good = asdict(Span("a", 1, "booting", 0, 1))
    assert read_spans({"spans": [good, {"name": "b"}, {**good, "begin": "x"}, 7]}) == [
        Span("a", 1, "booting", 0, 1)
    ]
    assert read_spans({}) == []
