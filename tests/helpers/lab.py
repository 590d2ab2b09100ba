# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab as a user runs it, in a process of its own; and what it leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.helpers.project import PROJECT

LAB = [sys.executable, "-m", "lab"]
# Generous: a cold cache builds two kernels and an image first.
DEADLINE = 3600


def environment() -> dict[str, str]:
    """In which it is this checkout's lab that is run, from any folder."""
    return {**os.environ, "PYTHONPATH": str(PROJECT)}


def lab(
    *words: str, cwd: Path = PROJECT, timeout: float = DEADLINE
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*LAB, *words], cwd=cwd, env=environment(), capture_output=True, text=True,
        timeout=timeout, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    return done


def run_folder(output: str, cwd: Path = PROJECT) -> Path:
    """The folder of the evidence that a command names at its end."""
    line = next(line for line in output.splitlines() if line.startswith("evidence"))
    path = cwd / line.split()[1]
    return path if path.is_dir() else path.parent


def outcomes(folder: Path) -> dict[str, dict[str, Any]]:
    """A run's cells by id, as summary.json has them."""
    cells = json.loads((folder / "summary.json").read_text())["cells"]
    return {cell["cell"]: cell for cell in cells}
