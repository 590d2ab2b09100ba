# SPDX-License-Identifier: GPL-2.0-or-later
import os
from pathlib import Path

import pytest

from lab.system import answers


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_SETTLED_NS", -(10**12))  # not waiting for files to settle


class Oracle:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return f"answer {self.asked}"


def test_an_answer_stays_while_its_files_stay(tmp_path: Path) -> None:
    file = tmp_path / "lists"
    file.write_text("one")
    ask = Oracle()
    found = {answers.remember(["policy", "x"], [file], ask) for _ in range(3)}
    assert found == {"answer 1"}


def test_another_question_has_another_answer() -> None:
    ask = Oracle()
    assert answers.remember(["policy", "x"], [], ask) == "answer 1"
    assert answers.remember(["policy", "y"], [], ask) == "answer 2"


@pytest.mark.parametrize("change", ["content", "kept times", "replaced", "removed", "below"])
def test_a_change_is_seen(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "lists"
    (folder / "deep").mkdir(parents=True)
    file = folder / "deep" / "packages"
    file.write_text("one")
    ask = Oracle()
    answers.remember(["q"], [folder], ask)
    old = file.stat()
    if change == "content":
        file.write_text("two, longer")
    elif change == "kept times":  # what mtime and size alone would not show
        while file.stat().st_ctime_ns == old.st_ctime_ns:  # the clock of files ticks slowly
            file.write_text("two")
            os.utime(file, ns=(old.st_atime_ns, old.st_mtime_ns))
    elif change == "replaced":
        other = tmp_path / "other"
        other.write_text("one")
        other.replace(file)
    elif change == "removed":
        file.unlink()
    else:
        (folder / "deep" / "new").touch()
    assert answers.remember(["q"], [folder], ask) == "answer 2"


def test_absence_is_a_state(tmp_path: Path) -> None:
    file = tmp_path / "absent"
    ask = Oracle()
    assert answers.remember(["q"], [file], ask) == "answer 1"
    assert answers.remember(["q"], [file], ask) == "answer 1"
    file.touch()
    assert answers.remember(["q"], [file], ask) == "answer 2"


def test_a_file_changed_a_moment_ago_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_SETTLED_NS", 2_000_000_000)
    file = tmp_path / "fresh"
    file.touch()
    ask = Oracle()
    answers.remember(["q"], [file], ask)
    assert answers.remember(["q"], [file], ask) == "answer 2"


def test_a_change_while_asking_is_not_missed(tmp_path: Path) -> None:
    file = tmp_path / "lists"
    file.write_text("one")

    def ask() -> str:
        said = file.read_text()
        file.write_text("two, longer")
        return said

    assert answers.remember(["q"], [file], ask) == "one"
    assert answers.remember(["q"], [file], ask) == "two, longer"


def test_a_failure_and_a_broken_record_are_asked_again(cache: Path) -> None:
    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        answers.remember(["q"], [], fail)
    ask = Oracle()
    answers.remember(["q"], [], ask)
    for record in (cache / "answers").iterdir():
        record.write_text("{")
    assert answers.remember(["q"], [], ask) == "answer 2"


def test_hashes_are_of_what_the_file_holds_now(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    first = answers.cached_sha256(file)
    assert answers.cached_sha256(file) == first
    file.write_text("bb")
    assert answers.cached_sha256(file) != first
