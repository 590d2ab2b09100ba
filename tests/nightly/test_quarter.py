# SPDX-License-Identifier: GPL-2.0-or-later
"""A quarter of nights, by the real code in a made-up place: what was planted is found, on its
night, and nothing else is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.config.cells import Cell
from lab.exitcodes import Exit
from lab.nightly.night import Night
from tests.helpers.nightlab import BAD, CLEAN, DAY, set_up
from tests.helpers.nightlab import CONFIG as TWO_JOBS

NIGHTS = 90
CONFIG = f"""{TWO_JOBS.partition("nightly:")[0]}nightly:
  jobs:
    all: {{cells: [dom0-mine, dom0-other], capsule: false}}
"""
CRASH: dict[str, Any] = {"end": False}
LESS_BAD: dict[str, Any] = {"corruptions": 20, "hits": 15, "windows": 100}
# What is planted, by the number of the night. A state lasts until the next one.
CORRUPTS, MENDED, BLIND, CRASHES, KILLED, FLICKERS, DRIFTS = 20, 30, 40, 50, 60, 75, 82


class Killed(BaseException):
    """Like SIGKILL: nothing of ours catches it."""


class Script:
    """What boots show in the night of number ``night``."""

    night = 0
    killed = False
    flickered = False

    def __call__(self, cell: Cell, _: int) -> dict[str, Any]:
        if cell.kernel == "control":
            if self.night == BLIND:
                return CLEAN
            return LESS_BAD if self.night >= DRIFTS else BAD
        if cell.kernel == "other":
            return CRASH if self.night == CRASHES else CLEAN
        if self.night == KILLED and not self.killed:
            self.killed = True
            raise Killed
        if self.night == FLICKERS and not self.flickered:
            self.flickered = True
            return BAD
        return BAD if CORRUPTS <= self.night < MENDED else CLEAN


def news(night: Night) -> list[tuple[str, str, str]]:
    return [(change.cell, change.was, change.now) for change in night.changes]


def test_a_quarter_of_nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    lab = set_up(tmp_path, monkeypatch, script, CONFIG)
    codes = []
    for script.night in range(NIGHTS):
        lab.versions["mine"] = f"6.{script.night // 10}.0"
        try:
            codes.append(lab.night())
        except Killed:
            codes.append(lab.night())
        lab.at += DAY
    nights = lab.nights()
    assert len(nights) == NIGHTS
    assert {night.state for night in nights} == {"ended"}
    found = {number: news(night) for number, night in enumerate(nights) if night.changes}
    drifts = {number: night.drifts for number, night in enumerate(nights) if night.drifts}
    (drifted,) = drifts
    assert DRIFTS <= drifted < DRIFTS + 5
    assert [text.partition(":")[0] for text in drifts[drifted]] == ["dom0-control"]
    assert "0.400 before" in drifts[drifted][0]
    assert found == {
        CORRUPTS: [("dom0-mine", "CLEAN", "CORRUPTS")],
        MENDED: [("dom0-mine", "CORRUPTS", "CLEAN")],
        CRASHES: [("dom0-other", "CLEAN", "CRASHED")],
        CRASHES + 1: [("dom0-other", "CRASHED", "CLEAN")],
        FLICKERS: [("dom0-mine", "CLEAN", "CORRUPTS")],
        FLICKERS + 1: [("dom0-mine", "CORRUPTS", "CLEAN")],
    }
    assert codes[CORRUPTS:MENDED] == [Exit.CORRUPTS] * (MENDED - CORRUPTS)
    odd = {*range(CORRUPTS, MENDED), BLIND, CRASHES, FLICKERS}
    as_expected = [number for number in range(NIGHTS) if number not in odd]
    assert {codes[number] for number in as_expected} == {Exit.OK}
    odd.add(drifted)
    quiet = [number for number in range(NIGHTS) if number not in odd]
    assert {nights[number].sentence for number in quiet} == {"3 cells, all as expected"}
    (change,) = nights[CORRUPTS].changes
    assert change.confirmed is True
    assert change.inputs == ["kernel: 6.1.0 6d696e65 -> 6.2.0 6d696e65"]
    (change,) = nights[FLICKERS].changes
    assert change.confirmed is False
    assert change.inputs == []
    assert nights[BLIND].sentence.startswith("blind: ")
    assert nights[BLIND].jobs[0].outcomes == []
    assert len(nights[KILLED].resumed) == 1
