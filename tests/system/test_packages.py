# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.system.packages import (
    LIST,
    Packages,
    find_missing,
    is_debian,
    read_packages,
)
from tests.helpers.project import PROJECT

TEXT = """\
# The packages.

# running
qemu-utils   # a reason
make

# checking (make test)
gdb          # a reason

# testing alone (./setup.sh --dev)
chromium     # a reason
"""


def fake_dpkg(folder: Path, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "dpkg-query"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{says}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_what_a_list_names() -> None:
    assert read_packages(TEXT) == Packages(["qemu-utils", "make"], ["gdb"])


def test_the_projects_own_list_has_both_parts() -> None:
    found = read_packages(LIST.read_text())
    assert {"qemu-system-x86", "make"} <= set(found.needed)
    assert {"gdb", "shellcheck"} <= set(found.extra)
    assert "chromium" not in found.all(), "no command of the lab needs it"


def test_set_up_installs_what_only_tests_need_for_tests_alone() -> None:
    text = (PROJECT / "setup.sh").read_text()
    function = text[text.index("\npackages() {") :].partition("\n}\n")[0] + "\n}\n"
    lists = [
        subprocess.run(
            ["sh", "-c", f"dev={dev}\n{function}\npackages"],
            cwd=PROJECT, capture_output=True, text=True, check=True,
        ).stdout.split()
        for dev in ("", "yes")
    ]  # fmt: skip
    assert lists[0] == read_packages(LIST.read_text()).all()
    assert lists[1][: len(lists[0])] == lists[0]
    assert "chromium" in lists[1][len(lists[0]) :]


def test_what_is_removed_or_unknown_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_dpkg(tmp_path, "make installed\nqemu-utils config-files\nother installed\n", monkeypatch)
    assert find_missing(read_packages(TEXT)) == Packages(["qemu-utils"], ["gdb"])


def test_where_there_is_no_dpkg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not is_debian()
