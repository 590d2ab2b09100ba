# SPDX-License-Identifier: GPL-2.0-or-later
"""How long things took last time on this machine, so that progress can say what to expect."""

from __future__ import annotations

import json
from pathlib import Path

from lab.system.cache import cache_dir
from lab.system.files import write_atomic


class Durations:
    """Seconds by name, kept in the cache; an unreadable file counts as an empty one."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or cache_dir() / "durations.json"
        self._seconds: dict[str, float] = {}
        try:
            known = json.loads(self._path.read_text())
            self._seconds = {str(name): float(value) for name, value in known.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            pass  # a hint, not evidence

    def usual(self, name: str) -> float | None:
        return self._seconds.get(name)

    def record(self, name: str, seconds: float) -> None:
        """Average one more in; the newest has half of the weight."""
        before = self._seconds.get(name, seconds)
        self._seconds[name] = round((before + seconds) / 2, 2)
        write_atomic(self._path, json.dumps(self._seconds, indent=1) + "\n")
