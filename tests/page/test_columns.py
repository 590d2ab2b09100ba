# SPDX-License-Identifier: GPL-2.0-or-later
"""Nights in columns: older ones together, so that pages grow by less and less."""

from __future__ import annotations

from dataclasses import replace

from lab.page.columns import SINGLE, arrange, choose, night_of, place
from lab.verdict.severity import Verdict
from tests.helpers.history import make_history


def test_every_night_has_its_column_and_they_are_in_order() -> None:
    for nights in (0, 1, SINGLE, SINGLE + 1, 90, 400):
        _, results = make_history(nights, 2)
        columns = arrange(results)
        named = [night for column in columns for night in column.nights]
        assert named == sorted({night_of(result) for result in results})
        assert all(len(column.nights) == 1 for column in columns[-SINGLE:])
        assert place(columns).keys() == set(named)


def test_ten_times_the_nights_are_about_twice_the_columns() -> None:
    counts = [len(arrange(make_history(nights, 1)[1])) for nights in (90, 900)]
    assert counts[1] < 2.2 * counts[0]


def test_a_run_that_is_not_of_a_night_is_a_column_too() -> None:
    _, results = make_history(1, 1)
    alone = replace(
        results[0], night=None, run="20270101T000000Z-aaaa", began="2027-01-01T00:00:00Z"
    )
    assert [c.nights for c in arrange([*results, alone])][-1] == ("20270101T000000Z-aaaa",)


def test_a_column_shows_the_worst_that_was_not_expected() -> None:
    _, (clean,) = make_history(1, 1)
    crashed = replace(clean, verdict=Verdict.CRASHED, as_expected=False)
    fault = replace(clean, verdict=Verdict.LAB_ERROR, as_expected=False)
    control = replace(clean, verdict=Verdict.CORRUPTS, as_expected=True)
    assert choose([clean, crashed, fault, control]) is crashed
    assert choose([control, clean]) is clean
