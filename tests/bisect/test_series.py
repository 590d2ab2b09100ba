# SPDX-License-Identifier: GPL-2.0-or-later
"""Prebuilt kernels: their order, the history made of them, and a bisect of it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lab.bisect.marks import Question
from lab.bisect.series import SeriesKernels, entries, find_ends, history, is_series, version_key
from lab.errors import LabError, UserError
from tests.helpers.bisects import FakeLab, bisect_of, line


def image(path: Path, version: str, state: str) -> None:
    """A file that reads as a bzImage of a version (boot protocol 2.07: nothing to unpack)."""
    setup = bytearray(0x600)
    setup[0x1F1] = 2
    setup[0x1FE:0x206] = b"\x55\xaa\xeb\x66HdrS"
    struct.pack_into("<H", setup, 0x206, 0x207)
    struct.pack_into("<H", setup, 0x20E, 0x100)
    text = f"{version} (lab) {state}".encode()
    setup[0x300 : 0x300 + len(text)] = text
    path.write_bytes(bytes(setup))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "kernels"
    made.mkdir()
    states = {"3.9.1": "bad", "3.10.0": "bad", "3.10.0-rc2": "bad", "4.1.2": "bad", "4.2.0": "good"}
    for version, state in states.items():
        image(made / f"vmlinuz-{version}", version, state)
    (made / "README").write_text("not a kernel")
    (made / "System.map").write_text("x" * 2000)
    return made


def test_versions_are_ordered_as_people_read_them() -> None:
    wanted = ["2.6.26", "2.6.32", "3.9", "3.10-rc1", "3.10-rc2", "3.10", "3.10.1", "3.19.8",
              "4.1~rc3-1", "4.1-1", "4.1.27", "6.1.192-2"]  # fmt: skip
    backwards = list(reversed(wanted))
    assert sorted(backwards, key=version_key) == wanted


def test_a_folder_of_kernels_is_ordered_by_what_they_say(folder: Path, tmp_path: Path) -> None:
    assert is_series(folder)
    assert not is_series(tmp_path)
    versions = [entry.version for entry in entries(folder)]
    assert versions == ["3.9.1", "3.10.0-rc2", "3.10.0", "4.1.2", "4.2.0"]


def test_a_tree_is_not_a_series(tmp_path: Path) -> None:
    line(tmp_path / "tree", "good bad")
    image(tmp_path / "tree" / "bzImage", "4.2", "good")
    assert not is_series(tmp_path / "tree")


def test_ends_by_file_or_version(folder: Path) -> None:
    series = entries(folder)
    assert find_ends(series, "4.2.0", "vmlinuz-3.9.1", True) == (4, 0)
    with pytest.raises(UserError, match="add --find-fix"):
        find_ends(series, "4.2.0", "3.9.1", False)
    with pytest.raises(UserError, match="no kernel matches"):
        find_ends(series, "4.2.0", "3.8", True)
    with pytest.raises(UserError, match="same kernel"):
        find_ends(series, "4.2.0", "4.2.0", True)


def test_the_history_depends_on_the_kernels_alone(folder: Path, tmp_path: Path) -> None:
    series = entries(folder)
    repo, commits = history(series, tmp_path / "one")
    assert history(series, tmp_path / "two")[1] == commits
    assert repo.parents(commits[1]) == [commits[0]]
    assert SeriesKernels(repo).label(commits[0]) == "vmlinuz-3.9.1"
    built = SeriesKernels(repo).kernel(commits[0], print)
    assert (built.image, built.seconds) == (folder / "vmlinuz-3.9.1", 0.0)
    built.image.write_bytes(b"another")
    with pytest.raises(LabError, match="is not what it was"):
        SeriesKernels(repo).kernel(commits[0], print)


def test_a_series_is_bisected_without_building(folder: Path, tmp_path: Path) -> None:
    repo, commits = history(entries(folder), tmp_path / "repo.git")
    said: list[str] = []
    lab = FakeLab(state=lambda text: text.split()[-1])
    question = Question(commits[4], commits[0], find_fix=True)
    work = bisect_of(question, repo, SeriesKernels(repo), lab, tmp_path, said, prebuilt=True)
    answer = work.run()
    assert (answer.status, answer.culprit) == ("confirmed", commits[4])
    assert not any("built in" in text for text in said)
    page = (tmp_path / "results" / "latest" / "summary.md").read_text()
    assert "4.2.0 (vmlinuz-4.2.0)" in page
    assert "vmlinuz-4.2.0 fixed it: confirmed" in page
