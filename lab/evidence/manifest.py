# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's manifest.json: what was run, by what, on what."""

from __future__ import annotations

import platform
import sys
from typing import Any

from lab import __version__
from lab.evidence.rules import hash_rules
from lab.evidence.run import FORMAT
from lab.system.clock import now
from lab.system.machine import describe


def make_manifest(supplies: dict[str, Any], repeat: str) -> dict[str, Any]:
    """``supplies``: versions and hashes of what is booted; ``repeat``: the command line."""
    return {
        "format": FORMAT,
        "lab": __version__,
        "rules": hash_rules(),
        "began": now(),
        "command": repeat,
        "argv": sys.argv,
        "machine": {"name": platform.node(), **describe()},
        "supplies": supplies,
    }
