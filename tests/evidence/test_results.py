# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.config.load import parse
from lab.errors import LabError, UserError
from lab.evidence.results import find_results, place_results
from lab.evidence.run import RunFolder


def test_what_comes_before_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    option, variable, configured = (tmp_path / name for name in "abc")
    monkeypatch.setenv("LAB_RESULTS", str(variable))
    assert find_results(option, configured) == option
    assert find_results(None, configured) == variable
    monkeypatch.setenv("LAB_RESULTS", "")
    assert find_results(None, configured) == configured
    monkeypatch.delenv("LAB_RESULTS")
    monkeypatch.chdir(tmp_path)
    assert find_results(None, None) == tmp_path / "results"
    assert find_results(Path("here"), None) == tmp_path / "here"


def test_the_configuration_names_it_from_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    text = "kernels: {a: {control: bad}}\nresults: "
    assert parse(f"{text}runs", tmp_path / "lab.yaml").results == tmp_path / "runs"
    assert parse(f"{text}~/runs", tmp_path / "lab.yaml").results == Path("/home/ann/runs")
    assert parse(f"{text}null", tmp_path / "lab.yaml").results is None


def test_a_place_for_results_is_looked_at_and_not_made(tmp_path: Path) -> None:
    assert place_results(tmp_path / "a" / "b", None) == tmp_path / "a" / "b"
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: is not a folder, so no results can be kept in"):
        place_results(tmp_path / "file" / "x", None)


def test_a_place_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="cannot be written to; name another folder by --results"):
        place_results(tmp_path / "x", None)


def test_a_new_folder_and_latest(tmp_path: Path) -> None:
    first = RunFolder.create(tmp_path / "a" / "b")
    second = RunFolder.create(tmp_path / "a" / "b")
    assert first.path.parent == second.path.parent == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b" / "latest").readlink() == Path(second.path.name)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(LabError, match=r"no run's folder can be made there \(Is a directory\)"):
        RunFolder.create(tmp_path)
