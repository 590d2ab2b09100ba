# SPDX-License-Identifier: GPL-2.0-or-later
"""What is left of a run whose folder was removed to bound the disk: RESULTS/removed/RUN.json.

It holds the run's own small files, so that the history reads it as it reads a folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.errors import UserError
from lab.evidence.content import dump, load
from lab.history.inputs import say_stress
from lab.system.clock import now
from lab.system.files import sha256, write_atomic

FOLDER = "removed"
FORMAT = 1
SEALED = "hashes.json"
FILES = ("manifest.json", "plan.json", "summary.json", "timings.json")


# Kept of a trial.
_FIGURES = ("verdict", "windows", "checks", "corruptions", "hits")


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


def read_folder(path: Path) -> dict[str, Any]:
    """A run's folder in the form of a stone."""
    files = {name: load(path / name) for name in FILES if (path / name).is_file()}
    config = load(path / "config.json") if (path / "config.json").is_file() else {}
    return {
        "sealed": (path / SEALED).is_file(),
        "host": str((config.get("host") or {}).get("kind", "nested")),
        "known": dict(config.get("known") or {}),
        "stress": say_stress(config),
        "files": files,
    }


def write_stone(results: Path, folder: Path) -> None:
    """Of a sealed run that is about to be removed. The hash of its ``hashes.json`` is kept, so that
    an exported archive of it can be recognized.
    """
    content = read_folder(folder)
    for cell in content["files"]["summary.json"]["cells"]:
        cell["trials"] = [{name: trial[name] for name in _FIGURES} for trial in cell["trials"]]
    first = {"format": FORMAT, "removed": now(), "hashes_sha256": sha256(folder / SEALED)}
    path = stone_path(results, folder.name)
    path.parent.mkdir(exist_ok=True)
    write_atomic(path, dump({**first, **content}))
