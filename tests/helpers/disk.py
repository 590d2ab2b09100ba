# SPDX-License-Identifier: GPL-2.0-or-later
"""A file system so small that it is soon full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(place: Path, kib: int) -> Iterator[Path]:
    """A tmpfs of that size, mounted at ``place`` in the block; skips where root is missing."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here: it needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
