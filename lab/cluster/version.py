# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lab a machine has: machines with different ones do not work together."""

from __future__ import annotations

import functools
from pathlib import Path

from lab import __version__
from lab.system.files import sha256_of

_LAB = Path(__file__).resolve().parents[1]


@functools.cache
def name_version() -> str:
    """The version, and a hash of the source: a checkout changes without its version.

    It is that of this process: a worker whose files are replaced has to be started again.
    """
    paths = sorted(_LAB.rglob("*.py"))
    parts = [part for path in paths for part in (str(path.relative_to(_LAB)), path.read_bytes())]
    return f"{__version__} ({sha256_of(*parts)[:12]})"


def explain_difference(where: str, theirs: str, ours: str) -> str:
    """The sentence for two that differ: pure."""
    return f"{where} has the lab {theirs}, and this machine {ours}: they must be the same"
