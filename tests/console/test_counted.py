# SPDX-License-Identifier: GPL-2.0-or-later
"""A counted text: exactly those bytes are missed that were lost, damaged or doubled."""

from __future__ import annotations

import random

import pytest

from lab.console.counted import LINE, Tally, compare, find_text, make_line, make_text
from tests.helpers.consoles import record

SENT = make_text(300)


def test_a_line_is_its_number_and_what_follows_from_it() -> None:
    assert len(make_line(7)) == LINE
    assert make_line(7).startswith(b"00000007")
    assert make_line(7)[8:] != make_line(8)[8:]
    assert len({make_line(n)[8:20] for n in range(5000)}) == 5000


def test_what_arrives_as_it_was_sent() -> None:
    assert compare(SENT, SENT) == Tally(len(SENT))
    assert str(compare(SENT, SENT)) == "19,200 bytes, none lost, damaged or doubled"
    assert compare(b"", b"") == Tally(0)


@pytest.mark.parametrize("at", [0, 5, 63, 64, 9000, len(SENT) - 3, len(SENT) - 1])
def test_a_single_byte(at: int) -> None:
    before, byte, after = SENT[:at], SENT[at : at + 1], SENT[at + 1 :]
    assert compare(SENT, before + after) == Tally(len(SENT), lost=1)
    assert compare(SENT, before + byte + byte + after) == Tally(len(SENT), doubled=1)
    assert compare(SENT, before + b"\xff" + after) == Tally(len(SENT), damaged=1)
    assert compare(SENT, before + b"\xff" + byte + after) == Tally(len(SENT), added=1)


def test_whole_stretches() -> None:
    assert compare(SENT, SENT[:1000] + SENT[6000:]) == Tally(len(SENT), lost=5000)
    assert compare(SENT, SENT[:1000]) == Tally(len(SENT), lost=len(SENT) - 1000)
    assert compare(SENT, SENT[5000:]) == Tally(len(SENT), lost=5000)
    words = b"[   12.345678] random: crng init done; " * 5
    assert compare(SENT, SENT[:777] + words + SENT[777:]) == Tally(len(SENT), added=len(words))
    assert compare(SENT, b"") == Tally(len(SENT), lost=len(SENT))
    said = str(compare(SENT, SENT[:1000] + SENT[6000:]))
    assert said == "of 19,200 bytes 5,000 lost"


@pytest.mark.parametrize("seed", range(20))
def test_many_faults_are_counted_one_by_one(seed: int) -> None:
    """At a distance from one another, so that the truth is not a matter of opinion."""
    chance = random.Random(seed)  # noqa: S311
    came, truth = bytearray(), {"lost": 0, "damaged": 0, "doubled": 0}
    until = 0
    for at, byte in enumerate(SENT):
        fault = None
        if at >= until and chance.random() < 0.01:
            fault, until = chance.choice(list(truth)), at + 25
            truth[fault] += 1
        if fault == "damaged":
            came.append(byte ^ 0x80)
        elif fault != "lost":
            came += bytes([byte]) * (1 + (fault == "doubled"))
    assert sum(truth.values()) > 50
    assert compare(SENT, bytes(came)) == Tally(len(SENT), **truth)


def test_the_text_lies_between_its_records() -> None:
    start = b"[    1.0] Linux version 6.1\r\n" + record(0, "start", run="cafe", lines=2)
    end = record(1, "text", t="0.5", lines=2).replace(b"\n@", b"\r\n@")
    console = start + make_text(2) + end + record(2, "end", t="0.5", status="ok")
    assert find_text(console) == make_text(2)
    assert find_text(start + make_text(2)) == make_text(2)
    assert find_text(b"login:") is None
