# SPDX-License-Identifier: GPL-2.0-or-later
"""Console output as it comes: harmless wherever a read happens to end."""

from __future__ import annotations

import random

from lab.console.live import LiveText

RAW = (
    b"\x1b[2J\x1b[1;1Hboot: \x1b]0;owned\x07\x1b[31mred\x1b[0m\r\n"
    b"caf\xc3\xa9 \x9b31m \xff\r\n\x1bP+q544e\x1b\\done\n\x1b["
)


def test_lines_come_as_soon_as_they_are_whole() -> None:
    live = LiveText()
    assert live.add(b"one\ntw") == "one\n"
    assert live.add(b"o\r") == ""
    assert live.add(b"\nthree") == "two\n"
    assert live.flush() == "three"


def test_a_prompt_is_shown_when_nothing_follows() -> None:
    live = LiveText()
    assert live.add(b"login: ") == ""
    assert live.flush() == "login: "
    assert live.flush() == ""


def test_half_of_a_lines_end_is_not_two_lines() -> None:
    live = LiveText()
    live.add(b"one\r")
    assert live.flush() + live.add(b"\ntwo\r\n") == "one\ntwo\n"


def test_a_line_without_end_is_not_kept_for_ever() -> None:
    live = LiveText()
    assert live.add(b"x" * 5000) == "x" * 5000


def test_wherever_it_is_cut_no_control_character_comes_out() -> None:
    chance = random.Random(1)  # noqa: S311 - any cuts
    for _ in range(500):
        live, shown, rest = LiveText(), "", RAW
        while rest:
            size = chance.randrange(1, len(rest) + 1)
            shown += live.add(rest[:size])
            if chance.random() < 0.3:
                shown += live.flush()
            rest = rest[size:]
        shown += live.flush()
        assert not [c for c in shown if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]
        assert "done" in shown
