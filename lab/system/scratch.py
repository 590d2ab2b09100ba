# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders for a while: gone with their block or, where a lab was killed in it, with the next lab.

    CACHE/scratch/WHAT-PID-RANDOM        the folder
    CACHE/scratch/WHAT-PID-RANDOM.lock   locked as long as its process lives

The lock says who lives. A process number does not: it is given again, and means nothing to
another container or machine that shares the cache.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

from lab.system.cache import cache_dir

_LONGEST = 107  # bytes of a socket's path: struct sockaddr_un has 108, the last one is zero
_SHORT = Path("/tmp")  # noqa: S108 - names are new (O_EXCL), and only what is ours is removed
_PREFIX = "xen-fpu-lab-"  # of names there


@contextlib.contextmanager
def open_scratch(what: str, socket: str = "") -> Iterator[Path]:
    """A new folder that is removed with the block. ``what``: a word in its name.

    ``socket``: the longest name that a socket in it gets. Where its path would be longer than
    the system allows, the folder is in /tmp.
    """
    base, prefix = cache_dir() / "scratch", ""
    base.mkdir(exist_ok=True)
    longest = base / f"{what}-{_new_name()}" / socket
    if socket and len(os.fsencode(longest)) > _LONGEST:
        base, prefix = _SHORT, _PREFIX
    _sweep_once(base, prefix)
    lock, handle = _make_lock(base, f"{prefix}{what}-")
    folder = lock.with_suffix("")
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        _remove(lock)
        os.close(handle)


def _new_name() -> str:
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def _make_lock(base: Path, prefix: str) -> tuple[Path, int]:
    """A new lock file that is held, and its descriptor."""
    while True:
        path = base / f"{prefix}{_new_name()}.lock"
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        if _take(path, handle):
            return path, handle
        os.close(handle)  # somebody swept it before it was locked


def _take(lock: Path, handle: int) -> bool:
    """Whether the lock is now held, and is still the one by that name."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), lock.lstat())
    except OSError:
        return False


@functools.cache
def _sweep_once(base: Path, prefix: str) -> None:
    sweep(base, prefix)


def sweep(base: Path, prefix: str = "") -> None:
    """Remove the folders in ``base`` whose processes have ended; those that are ours."""
    for lock in base.glob(f"{prefix}*.lock"):
        with contextlib.suppress(OSError):
            state = lock.lstat()
            if not S_ISREG(state.st_mode) or state.st_uid != os.geteuid():
                continue
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _take(lock, handle):
                    _remove(lock)
            finally:
                os.close(handle)


def _remove(lock: Path) -> None:
    """The folder, then its lock: what cannot be removed is tried again by the next sweep."""
    folder = lock.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        lock.unlink(missing_ok=True)
