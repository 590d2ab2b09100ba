# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a nested host: its lock, its files, and what is known of the host that runs in it.

Only one process at a time may hold the folder. What it holds outlives the process, so that the next
one finds a host that was left running.
"""

from __future__ import annotations

import fcntl
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from lab.errors import LabError
from lab.system.files import write_atomic
from lab.system.process import run


@dataclass(frozen=True)
class HostState:
    """One start of a host, as in state.json."""

    identity: str  # of the plan that it was started with
    nonce: str  # on Xen's command line
    port: int  # of the loopback address; leads to its ssh
    fresh: str = ""  # a word that only this start's dom0 knows; empty until it was ready once
    kept: bool = False  # it is to outlive its controller


class HostFolder:
    """Made without side effects; ``hold`` before anything else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    @property
    def libvirt(self) -> Path:
        """The embedded libvirt's own folder."""
        return self.path / "libvirt"

    @property
    def console(self) -> Path:
        """Xen's and dom0's console, from the first byte of this boot."""
        return self.path / "console.log"

    @property
    def overlay(self) -> Path:
        """What this boot writes to dom0's disk."""
        return self.path / "overlay.qcow2"

    @property
    def domain(self) -> Path:
        """The domain's XML."""
        return self.path / "domain.xml"

    @property
    def _state(self) -> Path:
        return self.path / "state.json"

    @property
    def held(self) -> bool:
        """Whether this process holds it."""
        return self._lock is not None

    def hold(self) -> None:
        """Take the folder for this process; LabError when another one has it."""
        if self._lock is not None:
            return
        self.libvirt.mkdir(parents=True, exist_ok=True)
        lock = (self.path / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise LabError(
                f"another lab is using the nested host in {self.path}: wait for it, "
                "or give this one its own cache by $LAB_CACHE"
            ) from None
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def read(self) -> HostState | None:
        """What was written last; None where nothing readable is."""
        try:
            return HostState(**json.loads(self._state.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, state: HostState) -> None:
        write_atomic(self._state, json.dumps(asdict(state)) + "\n")

    def begin(self, state: HostState, disk: Path, kind: str) -> None:
        """Write the state of a new start, with an overlay on ``disk`` and an empty console.

        ``kind`` is qemu-img's word for the disk's format.
        """
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", kind, self.overlay])
        if self.console.exists():  # what a killed controller had no time to keep
            self.console.replace(self.path / "console.previous.log")
        self.console.touch()
        self.write(state)
