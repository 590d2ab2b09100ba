# SPDX-License-Identifier: GPL-2.0-or-later
"""The house: each rule about imports in pyproject.toml can fail, and holds now."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.helpers.project import PROJECT

# For each contract a wrong import, and the module that it is planted in.
PLANTED = {
    "floors": ("lab/verdict/trial.py", "from lab.run.command import run"),
    "circles": ("lab/console/text.py", "from lab.console.watch import Watch"),
    "commands": ("lab/trace/story.py", "from lab.replay.command import replay"),
    "decisions": ("lab/verdict/cell.py", "import subprocess"),
    "libvirt": ("lab/host/nested.py", "import libvirt"),
    "ssh": ("lab/host/nested.py", "import paramiko"),
    "rich": ("lab/run/command.py", "from rich.text import Text"),
    "yaml": ("lab/run/command.py", "import yaml"),
    "sqlite": ("lab/history/index.py", "import sqlite3"),
    "smtp": ("lab/report/screen.py", "import smtplib"),
    "pages": ("lab/report/markdown.py", "import jinja2"),
    "junit": ("lab/run/outcomes.py", "import junit_xml"),
    "labgrid": ("lab/board/power.py", "import labgrid"),
    "ipmi": ("lab/board/power.py", "from pyghmi.ipmi.command import Command"),
    "redfish": ("lab/board/switch.py", "import sushy"),
    "serial": ("lab/board/console.py", "import serial.rfc2217"),
    "cluster": ("lab/cluster/place.py", "import distributed"),
    "playbooks": ("playbooks/collect.py", "from lab.trial.job import Job"),
}


def lint(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-logo", "--no-cache", *words],
        cwd=folder, env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for name in ("lab", "playbooks"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def test_every_contract_has_a_wrong_import_here() -> None:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert [contract["id"] for contract in settings["contracts"]] == list(PLANTED)


def test_the_house_as_it_is_breaks_none(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(PLANTED)} kept, 0 broken" in done.stdout


@pytest.mark.parametrize("contract", PLANTED)
def test_a_wrong_import_breaks_its_contract(copy: Path, contract: str) -> None:
    """Also inside a function, where a circle would hide."""
    name, line = PLANTED[contract]
    module = copy / name
    text = module.read_text()
    module.write_text(f"{text}\n\ndef planted() -> None:\n    {line}\n")
    try:
        done = lint(copy, "--contract", contract)
    finally:
        module.write_text(text)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "0 kept, 1 broken" in done.stdout


def test_a_new_package_must_be_given_a_floor(copy: Path) -> None:
    package = copy / "lab" / "attic"
    package.mkdir()
    (package / "__init__.py").touch()
    try:
        done = lint(copy, "--contract", "floors")
    finally:
        shutil.rmtree(package)
    assert done.returncode != 0
    assert "attic" in done.stdout + done.stderr


def test_no_test_module_imports_another() -> None:
    """What several use is in tests/helpers."""
    wrong = re.compile(r"^\s*(from tests(\.(?!helpers\b)\w+)*\.test_|import tests\.)", re.MULTILINE)
    found = [p for p in sorted(Path(__file__).parent.rglob("*.py")) if wrong.search(p.read_text())]
    assert found == []
