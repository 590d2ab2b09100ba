# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache: where it is, and how something is put into it whole and only once."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from lab.errors import LabError


def cache_dir() -> Path:
    """Everything that can be made again: ``$LAB_CACHE``, else the user's cache folder, which is
    ``$XDG_CACHE_HOME/xen-fpu-lab`` or ``~/.cache/xen-fpu-lab``.
    """
    configured = os.environ.get("LAB_CACHE")
    default = platformdirs.user_cache_path("xen-fpu-lab")
    base = Path(configured).resolve() if configured else default
    base.mkdir(parents=True, exist_ok=True)
    return base


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock file, so that two builds of one thing do not collide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def building(final: Path) -> Iterator[Path]:
    """A scratch folder beside ``final`` that takes its place when the block succeeds.

    An interrupted build leaves nothing under the final name; its scratch folder is removed
    by the next attempt. Hold ``locked`` around it.
    """
    scratch = final.with_name(f".{final.name}.building")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    yield scratch
    shutil.rmtree(final, ignore_errors=True)
    scratch.rename(final)


def require_space(folder: Path, mebibytes: int, what: str) -> None:
    """LabError when ``folder``'s file system has less than ``mebibytes`` free."""
    free = shutil.disk_usage(folder).free >> 20
    if free < mebibytes:
        raise LabError(f"{what} needs {mebibytes} MiB in {folder}, only {free} MiB are free")
