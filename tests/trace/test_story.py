# SPDX-License-Identifier: GPL-2.0-or-later
"""The time diagram, from the events of a real boot of the control kernel (tests/traces)."""

from __future__ import annotations

import copy
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.trace import story, svg, text
from lab.trace.event import Owner, Trace, owner
from lab.trace.story import build

TRACES = Path(__file__).parents[1] / "traces"


def sides() -> list[Trace]:
    body = json.loads((TRACES / "control.json").read_text())
    return [Trace.from_json(side) for side in body["sides"]]


def test_values_name_their_owners() -> None:
    # As the program itself put them into mm0 and mm1 on a real boot.
    assert owner(0x4901000000E031CF) == Owner("injected", 1, 0)
    assert owner(0x5601000001E18056) == Owner("victim", 1, 1)
    assert owner(0x5601000001E18057) is None
    assert owner(0) is None
    assert owner((1 << 64) - 1) is None


def test_the_dom0_side_shows_the_leak() -> None:
    pv, _ = sides()
    found = build(pv)
    assert [(lane.letter, lane.what, lane.pid) for lane in found.lanes] == [
        ("A", "opener 2", 123), ("B", "victim 2", 33), ("C", "victim 1", 32),
    ]  # fmt: skip
    trap = next(row for row in found.rows if row.cells.get(0) == "#NM")
    assert (trap.ts, trap.believed) == (0, 1)
    wrong = [row for row in found.rows if row.right is False]
    assert [(row.cells[1], row.instead, row.ts) for row in wrong] == [("reads V1/139", "V2/141", 0)]
    # The value is seen travelling: from C's load, through A's window, to B.
    loaded = found.rows.index(next(r for r in found.rows if r.cells.get(2) == "has V1/139"))
    read = found.rows.index(wrong[0])
    assert loaded < found.rows.index(trap) < read
    assert {row.value for row in found.rows[loaded : read + 1] if row.ts is not None} == {"V1/139"}
    assert "did not trap, and read V1/139, which C had loaded 172.2 us before" in found.says


def test_the_native_side_traps_and_is_right() -> None:
    _, native = sides()
    found = build(native)
    assert all(row.ts == row.believed for row in found.rows)
    checks = [row for row in found.rows if row.right is not None]
    assert checks
    assert all(row.right for row in checks)
    traps = [lane for row in found.rows for lane, text in row.cells.items() if text == "#NM"]
    assert traps == [0, 1]
    assert "B ran with CR0.TS=1, trapped, and read V2/1226, its own." in found.says


def test_the_text_is_132_columns_and_has_both_sides() -> None:
    drawn = text.draw([build(side) for side in sides()])
    assert max(len(line) for line in drawn.splitlines()) <= 132
    line = next(line for line in drawn.splitlines() if "reads V1/139" in line)
    assert "0/1!" in line
    assert "WRONG" in drawn
    assert "as dom0 (PV)" in drawn.splitlines()[0]
    assert "natively" in drawn.splitlines()[0]
    assert "\n" not in text.draw([build(sides()[0])]).splitlines()[0]


def test_the_svg_is_whole_and_has_nothing_active_in_it() -> None:
    image = svg.draw([build(side) for side in sides()])
    root = ET.fromstring(image)
    tags = {element.tag.split("}")[1] for element in root.iter()}
    assert tags == {"svg", "style", "rect", "g", "text"}
    words = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert "reads V1/139" in words
    assert "not V2/141" in words


def test_names_from_a_guest_are_never_drawn_raw() -> None:
    pv, _ = sides()
    pv.title = "\x1b[2J<script>&"
    assert "\x1b" not in text.draw([build(pv)])
    image = svg.draw([build(pv)])
    assert "\x1b" not in image
    assert "<script>" not in image


def test_a_trace_without_a_window_gives_no_story() -> None:
    for side in sides():
        side.events = [event for event in side.events if event.kind != "nm"]
        with pytest.raises(LabError, match="no task that slept"):
            build(side)
    empty = sides()[0]
    empty.events = []
    with pytest.raises(LabError, match="no task that slept"):
        build(empty)


def test_a_trace_that_begins_too_late_is_noticed() -> None:
    pv, _ = sides()
    assert story.has_source(pv)
    windows = [n for n, e in enumerate(pv.events) if e.kind == "nm" and e.believed == 1]
    pv.events = pv.events[windows[-1] - 1 :]  # from A's FPU instruction on
    assert not story.has_source(pv)
    assert "which nobody here loaded" in build(pv).says


def test_when_enough_is_recorded() -> None:
    pv, native = sides()
    assert story.complete(pv.events, corrupts=True)
    assert not story.complete(pv.events[:-1], corrupts=True)
    unfailed = [event for event in pv.events if event.kind != "failed"]
    assert not story.complete(unfailed, corrupts=True)
    assert story.complete(native.events, corrupts=False)


def test_a_repeated_stop_at_the_same_instruction_appears_once() -> None:
    pv, _ = sides()
    again = copy.deepcopy(pv)
    load = next(n for n, event in enumerate(again.events) if event.kind == "load")
    again.events.insert(load, copy.deepcopy(again.events[load]))
    assert build(again).rows == build(pv).rows


def test_traces_go_through_json() -> None:
    pv, _ = sides()
    assert Trace.from_json(json.loads(json.dumps(pv.as_json()))) == pv
