# SPDX-License-Identifier: GPL-2.0-or-later
"""The files in contrib/: no server runs them here, so each is checked for what can be checked."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from tests.helpers.project import PROJECT

CONTRIB = PROJECT / "contrib"
FILES = (
    "crontab", "gitlab-ci.yml", "Jenkinsfile", "github-actions.yml", "xen-fpu-lab-worker.service",
)  # fmt: skip
SCHEMAS = {"gitlab-ci.yml": "vendor.gitlab-ci", "github-actions.yml": "vendor.github-workflows"}
_FIELD = r"(\*|\d{1,2}(-\d{1,2})?)(/\d{1,2})?(,\d{1,2})*"
_LINE = re.compile(rf"({_FIELD} ){{5}}\S.*")
_VARIABLE = re.compile(r"[A-Z]+=\S+")
_COMMAND = re.compile(r"\.venv/bin/lab ([^'\n>|&]*)")


def check_schema(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_yaml_is_as_its_server_wants_it(name: str, schema: str, tmp_path: Path) -> None:
    done = check_schema(schema, CONTRIB / name)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / name
    text = (CONTRIB / name).read_text()
    wrong.write_text(text.replace("when: always", "when: perhaps").replace("runs-on", "runs"))
    assert wrong.read_text() != text
    assert check_schema(schema, wrong).returncode != 0


def find_wrong_line(crontab: str) -> str | None:
    """The first line that cron would refuse (crontab(5))."""
    for line in crontab.splitlines():
        plain = not line or line.startswith("#") or _VARIABLE.fullmatch(line)
        if not plain and not (_LINE.fullmatch(line) and "%" not in line):
            return line
    return None


def test_cron_reads_its_line() -> None:
    assert find_wrong_line((CONTRIB / "crontab").read_text()) is None
    assert find_wrong_line("0 2 * * lab") == "0 2 * * lab"
    assert find_wrong_line("0 2 * * * date +%F") == "0 2 * * * date +%F"


def find_open(groovy: str) -> str:
    """What is opened and not closed, or closed and not opened; comments and strings left out."""
    text = re.sub(r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|//[^\n]*", "", groovy)
    pairs = {")": "(", "]": "[", "}": "{"}
    waiting: list[str] = []
    for character in text:
        if character in "([{":
            waiting.append(character)
        elif character in "'\"":
            return character  # of a string that was not closed
        if character in pairs and (not waiting or waiting.pop() != pairs[character]):
            return character
    return "".join(waiting)


def test_the_jenkinsfile_is_whole() -> None:
    text = (CONTRIB / "Jenkinsfile").read_text()
    assert find_open(text) == ""
    assert find_open(text.rstrip().removesuffix("}")) == "{"
    assert find_open(text.replace("'make setup'", "'make setup")) == "'"
    parts = re.findall(r"^    (\w+) \{", text, re.MULTILINE)
    assert parts == ["agent", "triggers", "options", "environment", "stages", "post"]


@pytest.mark.parametrize("name", FILES)
def test_every_command_is_one_of_the_labs(name: str) -> None:
    commands = _COMMAND.findall((CONTRIB / name).read_text())
    assert commands
    for command in commands:
        assert parse(shlex.split(command)) == 0, command


def parse(words: list[str]) -> int:
    """As the command line is parsed, up to --help: nothing is run. 0, or 2 for what it refuses."""
    return CliRunner().invoke(app, [*words, "--help"]).exit_code


def test_a_command_that_is_not_one_is_noticed() -> None:
    assert parse(["nightly", "--nonsense"]) == 2
    assert parse(["nightly", "nonsense"]) == 2


def test_the_readme_names_them_all() -> None:
    text = (CONTRIB / "README.md").read_text()
    assert [name for name in FILES if f"`{name}`" not in text] == []
    assert sorted(path.name for path in CONTRIB.iterdir()) == sorted([*FILES, "README.md"])
