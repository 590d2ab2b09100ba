# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has a board, on this machine: one process at a time, and what a dead one left is seen.

    /tmp/xen-fpu-lab-boards/HASH    locked (flock) as long as its holder lives; holds who that is

The lock says who lives: the kernel gives it back with its process, however that ended. What is
written in it outlives the process, so that the next one knows that the board may still be on. The
file is named by the power control's address, so that two lab.yaml with two caches and two names
for one board meet in it. Another machine is not seen.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import shlex
import stat
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab.board.extra import require
from lab.config.board import (
    BoardConfig,
    CommandPower,
    IpmiPower,
    LabgridPower,
    PduPower,
    RedfishPower,
)
from lab.console.text import clean
from lab.errors import LabError
from lab.system.clock import now
from lab.system.deadline import Deadline
from lab.system.files import sha256_of

FOLDER = Path("/tmp/xen-fpu-lab-boards")  # noqa: S108 - sticky, names are hashes, content is shown
_LONGEST = 4096  # bytes of what a holder writes
_GLANCE_SECONDS = 1.0  # another process only looks whether the lock is held


@dataclass(frozen=True)
class Holder:
    """A process that has, or had, a board. ``started``: clock ticks after this machine's boot."""

    pid: int
    started: int
    user: str
    command: str
    since: str
    powered: bool = False  # it has switched the board on, and not off again

    def __str__(self) -> str:
        return f"pid {self.pid} of {self.user}, `{self.command}`, since {self.since}"


def myself() -> Holder:
    """The holder that this process is."""
    words = ["lab", *sys.argv[1:]]
    return Holder(os.getpid(), _start_of(os.getpid()), _user(), shlex.join(words)[:300], now())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _start_of(pid: int) -> int:
    """Field 22 of /proc/PID/stat (proc(5)); the name before it may hold anything."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return int(text.rpartition(")")[2].split()[19])


def lives(pid: int, started: int) -> bool:
    """Whether that very process is still there."""
    try:
        return _start_of(pid) == started
    except (OSError, IndexError, ValueError):
        return False


class HeldError(LabError):
    """Another process has the board, and lives."""


class Lock:
    """A board that this process has. ``left``: the dead holder that it was found with."""

    def __init__(self, handle: int, left: Holder | None) -> None:
        self._handle = handle
        self.left = left
        self._holder = replace(myself(), powered=left is not None)
        self._write()

    @property
    def powered(self) -> bool:
        """Whether the board may be on because of us, or of the dead holder."""
        return self._holder.powered

    def note(self, powered: bool) -> None:
        """Write down that the board may be on from now, or that it is off."""
        self._holder = replace(self._holder, powered=powered)
        self._write()

    def _write(self) -> None:
        text = json.dumps(asdict(self._holder)).encode()
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, text, 0)

    def forget(self) -> None:
        """Nobody has it, and whether it is on is nobody's concern."""
        os.ftruncate(self._handle, 0)


def lock_path(config: BoardConfig) -> Path:
    """The file of whoever is switched by the same power control."""
    match config.power:
        case IpmiPower(address=address, port=port):
            parts = ["ipmi", address.lower(), str(port)]
        case RedfishPower(url=url, system=system):
            parts = ["redfish", url.lower(), system or ""]
        case PduPower(model=model, host=host, index=index):
            parts = ["pdu", model, host.lower(), str(index)]
        case LabgridPower(coordinator=coordinator, place=place):
            parts = ["labgrid", coordinator.lower(), place]
        case CommandPower(off=off):
            parts = ["command", *off]
    return FOLDER / sha256_of(*parts)[:32]


@contextlib.contextmanager
def hold(name: str, config: BoardConfig) -> Iterator[Lock]:
    """Have the board while the block runs; LabError, naming the holder, when somebody has it.

    At the block's end what is written goes, unless the board may still be on.
    """
    require()
    handle = _open(lock_path(config))
    try:
        if not _take(handle):
            who = _read(handle)
            raise HeldError(f"{name} is held by another lab: {who or 'it does not say who'}")
        lock = Lock(handle, _find_left(handle))
        try:
            yield lock
        finally:
            if not lock.powered:
                lock.forget()
    finally:
        os.close(handle)


def find_holder(config: BoardConfig) -> tuple[Holder | None, bool]:
    """Who has the board or died with it, and whether that one lives; (None, False): nobody.

    LabError where the lock cannot be looked at.
    """
    path = lock_path(config)
    if not path.exists():
        return None, False
    handle = _open(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return _find_left(handle), False
    except BlockingIOError:
        return _read(handle) or _UNKNOWN, True
    finally:
        os.close(handle)


_UNKNOWN = Holder(0, 0, "somebody", "?", "?", powered=True)


def _find_left(handle: int) -> Holder | None:
    """The dead process that may have left the board on."""
    if os.fstat(handle).st_size == 0:
        return None
    holder = _read(handle) or _UNKNOWN
    return holder if holder.powered else None


def _open(path: Path) -> int:
    """The lock file, which any user of this machine may open. LabError when it is not one."""
    try:
        if not path.parent.is_dir():
            with contextlib.suppress(FileExistsError):
                path.parent.mkdir()
                path.parent.chmod(0o1777)
        # Without O_CREAT first: fs.protected_regular refuses it for another user's file.
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            handle = _create(path)
    except OSError as error:
        raise LabError(f"the lock of a board, {path}, cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise LabError(f"the lock of a board, {path}, is not a file: remove it")
    return handle


def _create(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    except FileExistsError:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    os.fchmod(handle, 0o666)
    return handle


def _take(handle: int) -> bool:
    deadline = Deadline(_GLANCE_SECONDS)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if deadline.expired:
                return False
            deadline.pause(0.05)


def _read(handle: int) -> Holder | None:
    """What is written there, safe to show; None where nothing readable is."""
    try:
        found = Holder(**json.loads(os.pread(handle, _LONGEST, 0)))
        return replace(
            found, pid=int(found.pid), user=_show(found.user), command=_show(found.command),
            since=_show(found.since), powered=bool(found.powered),
        )  # fmt: skip
    except (ValueError, TypeError):
        return None


def _show(text: object) -> str:
    return clean(str(text).encode()).replace("\n", " ")[:300]
