# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine of a cluster boots: files by the hash of their content, each fetched once.

    CACHE/cluster/SHA256

All workers of a machine share it. What no boot has used for a month is removed when a worker
starts.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError
from lab.system.cache import cache_dir
from lab.system.files import sha256

_DAYS = 30


def store_folder() -> Path:
    """Where the files are; made when asked for."""
    folder = cache_dir() / "cluster"
    folder.mkdir(exist_ok=True)
    return folder


def find(digest: str) -> Path:
    """Where the file with that content is, or would be."""
    return store_folder() / digest


def list_missing(digests: Iterable[str]) -> list[str]:
    """Those that are not here yet. What is here is marked as used."""
    missing = []
    for digest in digests:
        try:
            os.utime(find(digest))
        except OSError:
            missing.append(digest)
    return missing


def put(digest: str, writer: str, data: bytes, last: bool) -> None:
    """One piece of a file, in order; with the last one it is checked and takes its place.

    ``writer``: a word for whoever sends it, so that two of them do not mix.
    """
    part = store_folder() / f".{digest}.{writer}"
    with part.open("ab") as out:
        out.write(data)
    if not last:
        return
    try:
        found = sha256(part)
        if found != digest:
            raise LabError(f"a file arrived damaged: {found[:16]} instead of {digest[:16]}")
        part.replace(find(digest))
    finally:
        part.unlink(missing_ok=True)


def tidy(now: float | None = None) -> None:
    """Remove what was not used for long, and pieces that nobody completed."""
    before = (time.time() if now is None else now) - _DAYS * 86400
    for path in store_folder().iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()
