# SPDX-License-Identifier: GPL-2.0-or-later
"""What the last `lab board check` of a board came to: one that failed is not in the pool.

CACHE/boards/HASH.json     named as the board's lock is, by its power control
CACHE/boards/HASH/         what the board said meanwhile
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from lab.board.lock import lock_path
from lab.config.board import BoardConfig
from lab.console.text import clean
from lab.system.cache import cache_dir
from lab.system.clock import now
from lab.system.files import write_atomic

FORMAT = 1
State = Literal["ok", "failed", "not checked"]


@dataclass(frozen=True)
class Part:
    """One part of a check: ``said`` is a sentence; ``seconds`` is what it took."""

    name: str
    state: State
    said: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Health:
    """``since``: when it failed first and has not passed after it; empty while it passes."""

    checked: str
    since: str
    parts: list[Part]

    @property
    def passed(self) -> bool:
        return not self.since

    @property
    def why(self) -> str:
        """The first part that failed, in a sentence."""
        failed = next((part for part in self.parts if part.state == "failed"), None)
        return f"{failed.name}: {failed.said}" if failed else ""


def find_folder(config: BoardConfig) -> Path:
    """Where a check of this board keeps what it saw; made when asked for."""
    folder = cache_dir() / "boards" / lock_path(config).name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_health(config: BoardConfig) -> Health | None:
    """None for a board that was never checked, or where the file says nothing readable."""
    try:
        found = json.loads(_path(config).read_bytes())
        parts = [_read_part(part) for part in found["parts"]]
        known = found["format"] == FORMAT
        return Health(str(found["checked"]), str(found["since"]), parts) if known else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_part(found: dict[str, Any]) -> Part:
    said = clean(str(found["said"]).encode()).replace("\n", " ")
    return Part(str(found["name"]), found["state"], said, float(found["seconds"]))


def write_health(config: BoardConfig, parts: list[Part]) -> Health:
    """Keep the outcome: it passed where no part failed."""
    before, checked = read_health(config), now()
    failed = any(part.state == "failed" for part in parts)
    since = (before.since if before else "") or checked
    health = Health(checked, since if failed else "", parts)
    find_folder(config)
    write_atomic(_path(config), json.dumps({"format": FORMAT, **asdict(health)}, indent=1) + "\n")
    return health


def find_fault(name: str, config: BoardConfig) -> str | None:
    """Why the board is not to be used, in a sentence; None where it is."""
    health = read_health(config)
    if health is None or health.passed:
        return None
    return (
        f"the board {name} is out of the pool since {health.since} ({health.why}); "
        f"`lab board check {name}` lets it in again when it passes"
    )


def _path(config: BoardConfig) -> Path:
    return cache_dir() / "boards" / f"{lock_path(config).name}.json"
