# SPDX-License-Identifier: GPL-2.0-or-later
"""The hash of the judging rules: every module that a verdict depends on, found by its imports."""

from __future__ import annotations

import shutil
from pathlib import Path

from lab.evidence.rules import find_rules, hash_rules
from tests.helpers.project import PROJECT

LAB = PROJECT / "lab"


def names(lab: Path = LAB) -> set[str]:
    return {str(path.relative_to(lab)) for path in find_rules(lab)}


def test_whatever_decides_is_among_them() -> None:
    wanted = {
        "verdict/trial.py", "verdict/vacuity.py", "verdict/cell.py", "verdict/confidence.py",
        "verdict/stopping.py", "verdict/severity.py", "console/records.py", "console/text.py",
        "config/cells.py",  # its control_of says what a clean cell is measured by
    }  # fmt: skip
    assert wanted <= names()


def test_what_only_boots_or_shows_is_not() -> None:
    packages = {name.split("/")[0] for name in names()}
    assert packages.isdisjoint({"cli", "run", "trial", "host", "qemu", "kernel", "report"})


def test_a_new_import_of_a_rule_is_found_also_inside_a_function(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    shutil.copytree(LAB, lab, ignore=shutil.ignore_patterns("__pycache__"))
    assert names(lab) == names()
    (lab / "console" / "extra.py").write_text("LIMIT = 3\n")
    rule = lab / "verdict" / "severity.py"
    body = "\n\ndef planted() -> None:\n    from lab.console import extra\n"
    rule.write_text(rule.read_text() + body)
    assert names(lab) == names() | {"console/extra.py"}


def test_the_hash_is_stable_and_short() -> None:
    assert hash_rules() == hash_rules()
    assert len(hash_rules()) == 16
