# SPDX-License-Identifier: GPL-2.0-or-later
"""What is both in C and in Python: settings with their bounds, records and their keys."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from lab.config.cells import Cell
from lab.config.stress import FILES, MOST, NUMBERS, PLACES, StressConfig
from lab.trial.assignment import program_settings
from lab.verdict.stopping import Asked
from tests.helpers.project import PROJECT

REPRO = PROJECT / "repro"
SOURCES = {path.name: path.read_text() for path in sorted(REPRO.glob("*.[ch]"))}
# Set by the lab for each trial, not by a user's `settings:`; inject is for the program's tests.
OURS = {"run", "seed", "seconds", "windows", "tried", "at_least", "checks", "stop"}
FOR_TESTS = {"inject"}
ROW = re.compile(r'\{ "(\w+)", AT\(\w+\), (\w+), (\w+), \w+, (NUMBER|PLACE|FILE_LIST) \}')


def constants() -> dict[str, int]:
    """What the headers' enums give numbers to."""
    found = re.findall(r"\b([A-Z_]+) = (\d+)\b", SOURCES["settings.h"])
    return {name: int(number) for name, number in found}


def number(word: str) -> int:
    return constants().get(word) or int(word.rstrip("U"))


@pytest.fixture(scope="module")
def table() -> dict[str, tuple[int, int, str]]:
    rows = ROW.findall(SOURCES["settings.c"])
    assert len(rows) == SOURCES["settings.c"].count("AT(") - 1  # the macro itself
    return {key: (number(low), number(high), kind) for key, low, high, kind in rows}


def test_the_program_takes_the_settings_that_the_lab_knows(
    table: dict[str, tuple[int, int, str]],
) -> None:
    assert set(table) - OURS - FOR_TESTS == {*NUMBERS, "files"}


def test_bounds_are_the_same(table: dict[str, tuple[int, int, str]]) -> None:
    for key, bounds in NUMBERS.items():
        assert table[key][:2] == bounds, key
    assert table["windows"][1] == table["at_least"][1] == table["checks"][1] == MOST


def test_kinds_are_the_same(table: dict[str, tuple[int, int, str]]) -> None:
    assert {key for key, row in table.items() if row[2] == "PLACE"} == {
        key for key in NUMBERS if key.endswith("_cpu")
    }
    assert {key for key, row in table.items() if row[2] == "FILE_LIST"} == {"files"}
    for word in PLACES:
        assert f'text_equal(value, "{word}")' in SOURCES["settings.c"]
    names = re.search(r"files\[\w*\] = \{([^}]*)\}", SOURCES["pattern.c"])
    assert names is not None
    assert set(re.findall(r'"(\w+)"', names[1])) == set(FILES)


def test_the_lab_sets_each_trial_by_names_that_the_program_has(
    table: dict[str, tuple[int, int, str]],
) -> None:
    cell = Cell("dom0-x", "dom0", "x")
    given = program_settings(StressConfig(), cell, "cafe", 1, Asked())
    assert set(given) == OURS
    assert set(given) - {"run"} <= set(table)


def written() -> tuple[set[str], set[str]]:
    """Types of record, and all keys that the program can write."""
    text = "\n".join(SOURCES.values())
    types = set(re.findall(r'record_begin\(&?record, "(\w+)"\)', text))
    keys = set(re.findall(r'\brecord_\w+\([^;]*?"(\w+)"', text)) - types
    return types, keys | {row[0] for row in ROW.findall(text)}


def read_by_the_lab() -> tuple[set[str], set[str]]:
    """Types of record that the lab asks for, and the keys that it reads of a record."""
    types, keys = set(), set()
    for folder in ("console", "verdict"):
        for path in sorted((PROJECT / "lab" / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                first = node.args[0] if node.args else None
                if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                    continue
                if node.func.attr in ("of", "last"):
                    types.add(first.value)
                elif node.func.attr == "number" or ast.unparse(node.func).endswith("fields.get"):
                    keys.add(first.value)
    return types, keys


def test_every_record_that_is_read_is_written() -> None:
    types, keys = written()
    wanted_types, wanted_keys = read_by_the_lab()
    assert {"start", "env", "end", "corrupt"} <= wanted_types <= types
    assert {"windows", "hits", "caught", "fpu"} <= wanted_keys
    assert wanted_keys - keys == set()


def test_the_mark_of_a_record_is_the_same() -> None:
    assert '#define RECORD_MARK "@mmx"' in SOURCES["record.c"]
    assert "@mmx" in Path(PROJECT / "lab" / "console" / "records.py").read_text()
