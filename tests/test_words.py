# SPDX-License-Identifier: GPL-2.0-or-later
"""The plain words of the field: the tree has no other, and the checker finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import words
from tests.words import ROOT, find_names, find_turns, read_turns

TURNS = read_turns()
ENTRIES: list[dict[str, Any]] = yaml.safe_load((ROOT / "words.yaml").read_text())
EXAMPLES = [(entry["example"], entry["plain"]) for entry in ENTRIES]
# Broken over two lines as comments, strings and Markdown are.
BREAKS = ["\n", "\n    # ", "\n * ", "\n// ", ' "\n    "', ' "\n    f"']


def find_words(text: str) -> list[tuple[int, str, str]]:
    return list(find_turns(text, TURNS))


def test_the_whole_tree_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    code = words.main([])
    assert capsys.readouterr().out == ""
    assert code == 0


@pytest.mark.parametrize(("example", "plain"), EXAMPLES)
def test_each_pattern_finds_its_example(example: str, plain: str) -> None:
    for text in (example, f"# {example}, and more", f"Why {example}."):
        assert plain in [found for _, _, found in find_words(text)], text


@pytest.mark.parametrize("split", BREAKS)
def test_a_turn_over_two_lines_is_found_where_it_begins(split: str) -> None:
    for example, plain in EXAMPLES:
        if " " in example:
            broken = f"plain\n\n# {split.join(example.split())}\n"
            assert plain in [found for _, _, found in find_words(broken)], broken
    assert find_words(f"one\n# by{split}itself")[0][:2] == (2, "by itself")


def test_a_paragraph_ends_a_turn() -> None:
    assert find_words("# by itself") != []
    assert find_words("# it stands by\n#\n# itself") == []


@pytest.mark.parametrize(
    "text", ["there is no kernel", "is no longer", "told_ones", "tells them apart"]
)
def test_plain_words_are_left_alone(text: str) -> None:
    assert find_words(text) == []


def find_in(code: str, participles: bool = True) -> list[str]:
    return [what for _, what, _ in find_names(code, TURNS, participles)]


def test_a_participle_is_not_a_name_for_a_function() -> None:
    assert find_in("def made(x: int) -> int: ...") == ["def made"]
    assert find_in("class A:\n    def _wrapped_line(self) -> str: ...") == ["def _wrapped_line"]
    assert find_in("def made() -> int: ...", participles=False) == []


@pytest.mark.parametrize(
    "code",
    [
        "def shown(x: int) -> bool: ...",
        "@property\ndef taken(self) -> int: ...",
        "@contextlib.contextmanager\ndef opened() -> Iterator[int]: ...",
        "def embed() -> int: ...",
        "def make() -> int: ...",
    ],
)
def test_other_names_are_left_alone(code: str) -> None:
    assert find_in(code) == []


def test_a_turn_in_a_name_is_found() -> None:
    assert find_in("def test_what_git_is_told() -> None: ...", participles=False) == [
        "def test_what_git_is_told: told"
    ]


def test_named_files_are_checked_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(words, "ROOT", tmp_path)
    (tmp_path / "a.md").write_text("plain\n\nboth by\nthemselves\n")
    (tmp_path / "b.py").write_text("def made() -> int: ...\n")
    assert words.main([str(tmp_path / name) for name in ("a.md", "b.py")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a.md:3: 'by themselves': alone, on its own, automatically",
        "b.py:1: 'def made': a verb: what it does",
    ]
