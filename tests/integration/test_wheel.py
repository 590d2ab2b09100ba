# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab installed from its wheel, in a folder of the user's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.lab import DEADLINE, outcomes
from tests.helpers.wheel import build_wheel, install

pytestmark = pytest.mark.boots


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    program = install(build_wheel(folder), folder / "venv")
    shutil.rmtree(folder / "source")
    return program


def run(program: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in ("LAB_RESULTS", "PYTHONPATH")}
    done = subprocess.run(
        [program, *words], cwd=folder, env=env, capture_output=True, text=True,
        timeout=DEADLINE, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    return done


def test_from_an_empty_folder_to_a_verdict(installed: Path, tmp_path: Path) -> None:
    refused = run(installed, tmp_path, "plan")
    assert refused.returncode == 2
    assert "`lab init` writes one" in refused.stderr
    assert run(installed, tmp_path, "init").returncode == 0
    doctor = run(installed, tmp_path, "doctor")
    assert doctor.returncode == 0
    assert "packages " in doctor.stdout
    done = run(installed, tmp_path, "run", "dom0-control-bad")
    assert done.returncode == 0
    folder = tmp_path / "results" / "latest"
    assert outcomes(folder)["dom0-control-bad"]["verdict"] == "CORRUPTS"
    assert f"evidence  results/{folder.resolve().name}\n" in done.stdout
    assert run(installed, tmp_path, "verify", "results/latest").returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"lab.yaml", "lab.schema.json", "results"}


def test_plans_are_there_by_name(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "plan", "--plan", "two-fixes")
    assert done.returncode == 0
    assert "there is no file" not in done.stdout
