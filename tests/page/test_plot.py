# SPDX-License-Identifier: GPL-2.0-or-later
"""Drawings: scales, and SVG that is well formed whatever the names in it are."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from lab.page.plot import Bar, Interval, Mark, draw_bars, draw_dots, draw_intervals, draw_lines
from lab.page.scale import Scale, fit, fit_rates, say

HOSTILE = '"><script>alert(1)</script>\x1b[31m\u202e'


def test_a_linear_scale_begins_at_zero_and_ends_above() -> None:
    scale = fit([3, 1234.0], 50, 600)
    assert (scale.low, scale.high, scale.log) == (0, 1500, False)
    assert scale.at(0) == 50
    assert scale.at(1500) == 600
    assert scale.ticks() == [0, 500, 1000, 1500]


def test_rates_that_span_decades_have_a_logarithmic_scale() -> None:
    scale = fit_rates([0.3, 2e-5, 0.0], 100, 0)
    assert scale.log
    assert scale.low == pytest.approx(1e-5)
    assert scale.high == pytest.approx(1.0)
    assert [say(tick) for tick in scale.ticks()] == ["1e-05", "1e-04", "0.001", "0.01", "0.1", "1"]
    assert scale.at(0.0) == 100  # at its edge
    assert not fit_rates([0.3, 0.02], 100, 0).log


def test_nothing_to_draw_is_drawn() -> None:
    assert fit([], 0, 10).ticks()
    assert Scale(0, 0, 5, 9).at(3) == 5
    draw_intervals("nothing", [], [], [])
    draw_bars("nothing", [], [], "s")


@pytest.mark.parametrize(
    "drawing",
    [
        draw_lines(HOSTILE, [[(0, 0), (1, 5)], []], "windows", HOSTILE),
        draw_bars(HOSTILE, [HOSTILE], [Bar(0, 1, 2, "boot", HOSTILE)], "s"),
        draw_intervals(
            HOSTILE,
            [Interval(0, None, 0, 1e-4), Interval(1, 0.3, 0.2, 0.4, "bad")],
            [Mark(0.5, "change")],
            [(0, HOSTILE)],
        ),
        draw_dots(HOSTILE, [(0, 3.0), (0, 4.0)], [(0, HOSTILE)], 0, 1),
    ],
)
def test_a_drawing_is_well_formed_and_named(drawing: str) -> None:
    image = ET.fromstring(drawing)
    assert image.get("role") == "img"
    assert str(image.get("aria-label")).startswith('"><script>')
    assert not [element for element in image.iter() if element.tag.endswith("script")]
    assert "\x1b" not in drawing
    assert "\u202e" not in drawing
