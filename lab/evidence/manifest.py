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
from lab.system.machine import cores, memory_mib, processor


def make_manifest(supplies: dict[str, Any], repeat: str) -> dict[str, Any]:
    """``supplies``: versions and hashes of what is booted; ``repeat``: the command line."""
    return {
        "format": FORMAT,
        "lab": __version__,
        "rules": hash_rules(),
        "began": now(),
        "command": repeat,
        "argv": sys.argv,
        "machine": {
            "name": platform.node(),
            "kernel": platform.release(),
            "system": name_system(),
            "processor": processor(),
            "cores": cores(),
            "memory_mib": memory_mib(),
            "python": platform.python_version(),
        },
        "supplies": supplies,
    }


def name_system() -> str:
    """The distribution's own name."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"
