# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left of a run whose folder was removed to bound the disk: RESULTS/removed/RUN.json.

It holds the run's own small files, so that the history reads it as it reads a folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.errors import UserError
from lab.evidence.content import load

FOLDER = "removed"
FORMAT = 1
# Kept of a run; of the cells' trials only what figures need.
FILES = ("manifest.json", "plan.json", "summary.json", "timings.json")


def stone_path(results: Path, run: str) -> Path:
    """Where the stone of a run is, or would be."""
    return results / FOLDER / f"{run}.json"


def read_stone(path: Path) -> dict[str, Any]:
    """What was kept, by file name; UserError for a file that is not a stone."""
    content = load(path)
    files = content.get("files")
    if content.get("format") != FORMAT or not isinstance(files, dict):
        raise UserError(f"{path}: does not hold what is left of a removed run")
    return content
