# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents: what they name exists, and a line of them can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from lab.cli.main import app
from lab.exitcodes import Exit

ROOT = Path(__file__).parents[1]
WIDTH = 120
DOCUMENTS = sorted(
    path
    for folder in (".", "docs", "docs/measured", "repro", "results", "images")
    for path in (ROOT / folder).glob("**/*.md" if folder == "images" else "*.md")
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
# Not documents, but people read them, and they point to documents.
READ = [*NAMES, "lab.yaml", "bench.yaml", *(f"plans/{p.name}" for p in ROOT.glob("plans/*.yaml"))]
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"(?<![\w./-])(?:lab|docs|tests|plans|images|repro|playbooks)/[\w./*-]*[\w*]")
# A form of name, and what a build makes.
_NOT_FILES = {"plans/NAME.yaml", "repro/build/mmxstress64", "repro/build/mmxstress32"}
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|[ (])lab ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?")
_OPTION = re.compile(r"--[a-z][a-z-]*")


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_longer_than_a_screen_is_wide(name: str) -> None:
    lines = enumerate((ROOT / name).read_text().splitlines(), 1)
    # A table's row is one line, whatever it holds.
    assert [n for n, line in lines if len(line) > WIDTH and not line.startswith("|")] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    text = (ROOT / name).read_text()
    links = [link for link in _LINK.findall(text) if "://" not in link and link[0] != "#"]
    base = (ROOT / name).parent
    assert [link for link in links if not (base / link.split("#")[0]).exists()] == []


@pytest.mark.parametrize("name", READ)
def test_every_path_named_exists(name: str) -> None:
    text = re.sub(r"\]\([^)]*\)", "]", (ROOT / name).read_text())
    named = sorted(set(_PATH.findall(text)) - _NOT_FILES)
    assert [path for path in named if not list(ROOT.glob(path))] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_named_is_one(name: str) -> None:
    known = _commands()
    named = {words for line in _code((ROOT / name).read_text()) for words in _named(line, known)}
    assert named - set(known) == set()


def test_every_option_named_belongs_to_its_command() -> None:
    known = _commands()
    wrong = []
    for line in _code((ROOT / "docs/commands.md").read_text()):
        for words in _named(line, known)[:1]:
            wrong += [o for o in _OPTION.findall(line) if o not in (known.get(words) or [])]
    assert wrong == []


def test_the_page_of_commands_has_all_of_them() -> None:
    page = "\n".join(_code((ROOT / "docs/commands.md").read_text()))
    commands = [words for words, options in _commands().items() if options is not None]
    assert [words for words in commands if f"lab {words}" not in page] == []


def test_the_page_of_commands_has_the_table_of_exit_codes() -> None:
    text = (ROOT / "docs/commands.md").read_text()
    section = text.partition("## Exit codes")[2]
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)]
    assert codes == sorted(Exit)


@pytest.mark.parametrize("index", ["docs"])
def test_the_index_has_every_page(index: str) -> None:
    text = (ROOT / index / "README.md").read_text()
    linked = {(ROOT / index / link).resolve() for link in _LINK.findall(text)}
    assert set((ROOT / index).rglob("*.md")) - linked == {ROOT / index / "README.md"}


def test_architecture_has_every_package_once_and_in_the_order_of_floors() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", text, re.MULTILINE)
    assert all(int(above) == int(below) + 1 for (above, _), (below, _) in pairwise(rows))
    named = [word for _, cell in rows for word in re.findall(r"`lab/(\w+)`", cell)]
    packages = [path.parent.name for path in (ROOT / "lab").glob("*/__init__.py")]
    assert sorted(named) == sorted(packages)


def _code(text: str) -> Iterator[str]:
    """Code of a document: spans, and the lines of blocks."""
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip().removeprefix("$ ")
        else:
            yield from _SPAN.findall(line)


def _named(line: str, known: dict[str, list[str] | None]) -> list[str]:
    """The lab's commands in a line of code that begins with one: ``run``, ``host start``."""
    if not line.startswith("lab "):
        return []
    groups = [name for name, options in known.items() if options is None]
    return [
        f"{first} {second}" if first in groups and second else first
        for first, second in _COMMAND.findall(line)
    ]


def _commands() -> dict[str, list[str] | None]:
    """Every command by its words, with its options; a group (``host``) has None."""

    def walk(command: Any, words: str) -> dict[str, list[str] | None]:
        if not hasattr(command, "commands"):
            return {words: [option for one in command.params for option in one.opts]}
        found: dict[str, list[str] | None] = {words: None}
        for name, inner in command.commands.items():
            found |= walk(inner, f"{words} {name}".strip())
        return found

    return {
        words: options for words, options in walk(typer.main.get_command(app), "").items() if words
    }
