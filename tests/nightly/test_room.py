# SPDX-License-Identifier: GPL-2.0-or-later
"""Old nights' evidence goes when a new night begins; what it showed stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.exitcodes import Exit
from lab.history.index import open_index
from tests.helpers.nightlab import BAD, CONFIG, DAY, by_kernel, set_up


def test_older_nights_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel(), CONFIG + "keep: {nights: 1}\n")
    for _ in range(3):
        assert lab.night() == Exit.OK
        lab.at += DAY
    with open_index(lab.results) as index:
        nights = index.nights()
        removed = {run.night for run in index.runs() if run.removed}
        there = {run.night for run in index.runs() if (lab.results / run.folder).is_dir()}
        assert len(index.results(night=nights[0])) == len(index.results(night=nights[2]))
    # When the third one began, the second was the newest.
    assert (len(nights), removed, there) == (3, {nights[0]}, set(nights[1:]))
    assert "old runs was removed" in lab.last().notes[0]
    assert lab.nights()[1].notes == []


def test_a_night_with_news_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = set_up(tmp_path, monkeypatch, by_kernel(mine=BAD), CONFIG + "keep: {nights: 1}\n")
    for _ in range(3):
        lab.night()
        lab.at += DAY
    with open_index(lab.results) as index:
        wrong = {r.run for r in index.results() if not r.as_expected}
        assert wrong
        assert not [run for run in index.runs() if run.id in wrong and run.removed]


def test_a_night_goes_on_when_nothing_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LabError("the disk says no")

    lab = set_up(tmp_path, monkeypatch, by_kernel(), CONFIG)
    monkeypatch.setattr("lab.nightly.room.tidy", fail)
    assert lab.night() == Exit.OK
    assert lab.last().notes == ["old evidence was not removed: the disk says no"]
