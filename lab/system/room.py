# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a disk is full, by what the system says and by trying to write."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_BYTES = 1 << 16  # with less than this a disk counts as full


def is_full(folder: Path) -> bool:
    """What the system says about the folder's disk; cheap enough for several times a second."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize < _BYTES


def find_shortage(folder: Path) -> str:
    """Why nothing can be written in a folder, in the system's words; empty where something can.

    A quota shows only so.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""
