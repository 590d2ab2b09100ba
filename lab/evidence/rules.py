# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules this lab judges by: every module that a verdict depends on, found by its imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from lab.system.answers import remember
from lab.system.files import sha256_of

_LAB = Path(__file__).resolve().parents[1]
_ROOTS = "verdict"  # the package whose modules decide


def hash_rules() -> str:
    """16 hex digits over the source of all rules; kept in a run's manifest.json.

    Remembered as long as no module of the lab changes: to read the imports takes 50 ms.
    """
    return remember(["rules", str(_LAB)], sorted(_LAB.rglob("*.py")), _hash)


def _hash() -> str:
    return sha256_of(*(path.read_bytes() for path in find_rules()))[:16]


def find_rules(lab: Path = _LAB) -> list[Path]:
    """The modules of ``lab/verdict`` and all of the lab that they import, sorted."""
    found: set[Path] = set()
    waiting = sorted((lab / _ROOTS).glob("*.py"))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imports(path, lab)
    return sorted(found)


def _imports(path: Path, lab: Path) -> Iterator[Path]:
    """The lab's modules that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, *rest = name.split(".")
            module = lab.joinpath(*rest).with_suffix(".py") if rest else lab
            if package == "lab" and module.is_file():
                yield module
