# SPDX-License-Identifier: GPL-2.0-or-later
"""Serial lines that lose, double and damage bytes lead to no wrong verdict (tests/noise.py)."""

from __future__ import annotations

import numpy
import pytest

from lab.console.watch import Ending
from lab.verdict.severity import Verdict
from lab.verdict.trial import judge
from tests.helpers.consoles import record
from tests.noise import AGAIN, RATES, count_false, disturb, find_recorded, run

DEADLINE = Ending("deadline", seconds=90.0)


@pytest.mark.parametrize("rate", RATES)
def test_no_verdict_is_wrong(rate: float) -> None:
    """600 trials; whatever is not judged as it is must be repeated."""
    found = run(203, rate, seed=7)
    assert count_false(found) == {Verdict.CLEAN: 0, Verdict.CORRUPTS: 0}
    assert {judged for (truth, judged), _ in found.items() if judged is not truth} <= {AGAIN}
    assert sum(n for (truth, judged), n in found.items() if judged is truth) > 50


def test_a_quiet_line_changes_nothing() -> None:
    chance = numpy.random.default_rng(1)
    for one in find_recorded():
        assert disturb(one.console, 0.0, chance) == one.console
        assert one.judge(one.console) is one.truth


def test_the_line_does_what_it_says() -> None:
    content = bytes(range(256)) * 400
    found = disturb(content, 0.01, numpy.random.default_rng(1))
    assert found != content
    assert abs(len(found) - len(content)) < 200  # as many dropped as doubled, nearly
    assert len(disturb(content, 1.0, numpy.random.default_rng(1))) > 0


def without(console: bytes, type_: bytes) -> bytes:
    """Each record of that type has one byte damaged."""
    return console.replace(b" %s " % type_, b" %s_" % type_)


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        (b"start", "the start record is lost"),
        (b"env", "the env record is lost"),
        (b"end", "the end record is lost"),
        (b"allocations", "the record of allocations may be lost"),
    ],
)
def test_a_record_that_is_lost_is_named(type_: bytes, said: str) -> None:
    """Of a clean boot; none of them makes it CRASHED, VACUOUS or CLEAN."""
    clean = find_recorded()[0]
    found = judge(clean.facts, without(clean.console, type_), DEADLINE)
    assert found.verdict is Verdict.LAB_ERROR
    assert found.reason.startswith(f"{said} on the console")


def test_a_console_of_damaged_records_is_not_a_program_that_never_started() -> None:
    clean = find_recorded()[0]
    found = judge(clean.facts, clean.console.replace(b" #", b" $"), DEADLINE)
    assert found.verdict is Verdict.LAB_ERROR
    assert "records are damaged on the console" in found.reason


def test_a_program_that_fell_silent_is_still_a_crash() -> None:
    hangs = find_recorded()[5]
    assert judge(hangs.facts, hangs.console, DEADLINE).reason.startswith("fell silent after record")
    torn = hangs.console + record(5, "progress", t="1.0")[:20]
    assert judge(hangs.facts, torn, DEADLINE).verdict is Verdict.CRASHED


def test_corruptions_on_a_console_without_the_nonce_are_not_this_boots() -> None:
    """Such as what a terminal server had kept of the boot before."""
    dom0 = find_recorded()[1]
    stale = without(dom0.console, b"start").replace(dom0.facts.nonce.encode(), b"0badcafe")
    found = judge(dom0.facts, stale, DEADLINE)
    assert found.verdict is Verdict.LAB_ERROR
    assert "the corruptions in it are not this boot's" in found.reason
