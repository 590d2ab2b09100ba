# SPDX-License-Identifier: GPL-2.0-or-later
"""The set-up's data: the list of packages and the locked Python packages."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.helpers.project import PROJECT

LOCKS = (
    "requirements-build.txt", "requirements.txt", "requirements-boards.txt", "requirements-dev.txt",
)  # fmt: skip


def pins(name: str) -> dict[str, str]:
    """Package and version with marker, as locked."""
    lines = (PROJECT / name).read_text().splitlines()
    found = [re.match(r"([a-z0-9-]+)==(\S+)( ; [^\\]*)?", line) for line in lines]
    return {f"{m[1]}{m[3] or ''}".strip(): m[2] for m in found if m}


def test_every_package_has_a_name_and_a_reason() -> None:
    lines = (PROJECT / "packages.txt").read_text().splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    assert len(names) == len({line.split()[0] for line in names})
    for line in names:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.+-]+( +# .+)?", line), line


@pytest.mark.parametrize("name", LOCKS)
def test_locks_have_hashes_and_name_no_registry(name: str) -> None:
    text = (PROJECT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^--", text, re.MULTILINE)
    requirements = re.split(r"\n(?=[a-z])", text.strip())
    assert all("--hash=sha256:" in requirement for requirement in requirements)


def test_tests_run_on_the_versions_that_run_the_lab() -> None:
    assert pins("requirements.txt").items() <= pins("requirements-dev.txt").items()


def test_boards_add_to_what_runs_the_lab_and_change_nothing_of_it() -> None:
    assert pins("requirements.txt").items() <= pins("requirements-boards.txt").items()
    assert {"labgrid", "pyghmi", "sushy"} <= pins("requirements-boards.txt").keys()


def test_set_up_refuses_what_it_does_not_know() -> None:
    done = subprocess.run(
        ["./setup.sh", "--nonsense"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--dev" in done.stderr
