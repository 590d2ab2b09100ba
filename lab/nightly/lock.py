# SPDX-License-Identifier: GPL-2.0-or-later
"""One night at a time on a machine: a lock that the kernel gives back with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from lab.errors import LabError
from lab.system.clock import now

PATH = Path("/tmp/xen-fpu-lab-night.lock")  # noqa: S108 - opened without following links
_LONGEST = 200


class BusyError(LabError):
    """Another night is under way on this machine. The message says whose."""


@contextlib.contextmanager
def hold_machine() -> Iterator[None]:
    """Have the machine for a night while the block runs; BusyError when somebody has it."""
    handle = _open()
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(handle, _LONGEST, 0).decode(errors="replace")
            who = "".join(c for c in text if c.isprintable()) or "it does not say who"
            raise BusyError(f"another night is under way on this machine: {who}") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"pid {os.getpid()}, since {now()}".encode(), 0)
        yield
    finally:
        os.close(handle)


def _open() -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            # Without O_CREAT first: fs.protected_regular refuses it for another user's file.
            return os.open(PATH, flags)
        except FileNotFoundError:
            handle = os.open(PATH, flags | os.O_CREAT, 0o666)
            os.fchmod(handle, 0o666)
            return handle
    except OSError as error:
        raise LabError(f"the lock of nights, {PATH}, cannot be opened: {error.strerror}") from None
