# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell was run with, as a strip for each input: a new colour where it changed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from lab.history.result import Result
from lab.page.plot import draw_strips


@dataclass(frozen=True)
class Stretch:
    """An input that stayed the same from one place to another, both included."""

    name: str
    begin: int
    end: int
    text: str


def find_stretches(results: Sequence[tuple[int, Result]]) -> list[Stretch]:
    """``results``: with their places on the axis, in the order of time. All inputs, by name."""
    names = dict.fromkeys(name for _, result in results for name in result.inputs)
    found = []
    for name in names:
        texts = [(at, result.inputs.get(name, "")) for at, result in results]
        known = [(at, text) for at, text in texts if text]
        for text, group in groupby(known, key=lambda both: both[1]):
            places = [at for at, _ in group]
            found.append(Stretch(name, places[0], places[-1], text))
    return found


def draw(name: str, stretches: Sequence[Stretch], last: int) -> str:
    """``last``: the last place on the axis."""
    rows = list(dict.fromkeys(stretch.name for stretch in stretches))
    boxes = []
    for row, input_ in enumerate(rows):
        own = [stretch for stretch in stretches if stretch.name == input_]
        for number, s in enumerate(own):
            end = own[number + 1].begin - 1 if number + 1 < len(own) else last
            boxes.append((row, s.begin, end, number % 2 == 1, f"{s.name}: {s.text}"))
    return draw_strips(name, rows, boxes, last)
