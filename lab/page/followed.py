# SPDX-License-Identifier: GPL-2.0-or-later
"""What the last night did about a clean cell that corrupts: booted again, kept, bisected. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.page.place import link_cell, link_run

_STEPS = {"confirm": "booted again", "capsule": "replayable boot", "bisect": "bisect"}


@dataclass(frozen=True)
class Step:
    """One of the things that were done; ``link`` is empty where its run has no page."""

    name: str
    says: str
    run: str
    link: str


@dataclass(frozen=True)
class Followed:
    """A cell that was clean; ``culprit`` is the commit that a bisect named, or empty."""

    cell: str
    link: str
    culprit: str
    steps: tuple[Step, ...]


def list_followed(record: dict[str, Any], cells: set[str], linked: set[str]) -> list[Followed]:
    """``record``: night.json, or empty. ``cells``, ``linked``: cells and runs that have a page."""
    changes = record.get("changes")
    found = []
    for change in changes if isinstance(changes, list) else ():
        if not isinstance(change, dict) or not change.get("follow"):
            continue
        cell = str(change.get("cell"))
        steps = tuple(
            _read_step(change[key], name, linked)
            for key, name in _STEPS.items()
            if isinstance(change.get(key), dict)
        )
        link = link_cell(cell) if cell in cells else ""
        found.append(Followed(cell, link, str(change.get("culprit") or ""), steps))
    return found


def _read_step(part: dict[str, Any], name: str, linked: set[str]) -> Step:
    run = str(part.get("run") or "")
    says = str(part.get("says") or part.get("state"))
    return Step(name, says, run, link_run(run) if run in linked else "")
