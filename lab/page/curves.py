# SPDX-License-Identifier: GPL-2.0-or-later
"""Windows and hits over a boot's time, from its records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

_MOST = 24  # points of a boot


class Point(NamedTuple):
    """Guest seconds since the program's start, and what was counted up to then."""

    seconds: float
    windows: int
    hits: int


def read_points(trial: Path) -> list[Point]:
    """Of records.jsonl; empty for a boot without one. Thinned, the last point is always there."""
    try:
        lines = (trial / "records.jsonl").read_text().splitlines()
    except (OSError, ValueError):
        return []
    found = dict.fromkeys(point for line in lines if (point := _read(line)) is not None)
    points = sorted(found)
    step = max(1, -(-len(points) // _MOST))
    return points[::-1][::step][::-1]


def _read(line: str) -> Point | None:
    try:
        record: dict[str, Any] = json.loads(line)
        if record["type"] not in ("progress", "end"):
            return None
        return Point(float(record["t"]), int(record["windows"]), int(record["hits"]))
    except (ValueError, KeyError, TypeError):
        return None


def take_windows(points: list[Point]) -> list[tuple[float, float]]:
    """From (0, 0) on, for a plot."""
    return [(0, 0), *((point.seconds, point.windows) for point in points)]


def take_hits(points: list[Point]) -> list[tuple[float, float]]:
    """The same for hits."""
    return [(0, 0), *((point.seconds, point.hits) for point in points)]
