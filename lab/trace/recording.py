# SPDX-License-Identifier: GPL-2.0-or-later
"""A deterministic boot under QEMU's debugger interface, as often as wanted and always the same.

The boot is recorded once (the recording changes nothing in it); then each replay of the
recording can be stopped, looked at and continued, at any instruction.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.console import text as consoletext
from lab.console.watch import Glance
from lab.errors import LabError
from lab.qemu import icount, machine
from lab.qemu.boot import Boot, command
from lab.qemu.options import escape
from lab.system.deadline import Deadline
from lab.system.process import run
from lab.system.scratch import open_scratch
from lab.trace.stub import GdbStub

_SECONDS = 1800
# The HPET's main counter (IA-PC HPET specification, 2.3.7): in QEMU the virtual clock, in units
# of 10 ns. Xen runs it; for a native boot that leaves it off it is switched on at power-on.
_HPET = 0xFED00000
_HPET_CONFIGURATION, _HPET_COUNTER = _HPET + 0x10, _HPET + 0xF0
_HPET_NS = 10
# To load a snapshot QEMU resets its devices; this one's reset waits for the processor, which in
# a replay waits for the reset (seen with 7.2.22: qemu_system_reset, do_run_on_cpu, for ever).
# It speeds up 32-bit Windows, nothing here uses it.
REWINDABLE = ("-global", "apic.vapic=off")
SOCKET = "gdb"  # the name of the gdbstub's socket
_SNAPSHOTS = "snapshots.qcow2"


@dataclass(frozen=True)
class Recording:
    """A recorded boot. ``console`` is what it printed; ``log`` is QEMU's of its execution."""

    boot: Boot
    folder: Path
    options: tuple[str, ...] = ()  # more of QEMU's, the same for every replay

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def log(self) -> Path:
        return self.folder / "execution.log"


@dataclass(frozen=True)
class Replaying:
    """A QEMU that replays: its gdbstub's socket, the console that it prints again."""

    socket: Path
    console: Path


def record(
    boot: Boot, folder: Path, seen: Callable[[Glance], None], options: Sequence[str] = ()
) -> Recording:
    """Boot once with the log on; LabError when QEMU fails."""
    made = Recording(boot, folder, tuple(options))
    ending = machine.run_exactly(
        boot, made.console, Deadline(_SECONDS), seen, threading.Event(), made.log, options
    )
    if ending.how != "finished":
        raise LabError(f"the boot did not reach its end ({ending.how}): {ending.detail}")
    return made


@contextlib.contextmanager
def stopped(recording: Recording) -> Iterator[GdbStub]:
    """The replay, stopped at power-on; it is ended with the block."""
    with (
        open_scratch("gdb", SOCKET) as scratch,
        started(recording, scratch) as replaying,
        attached(replaying) as stub,
    ):
        yield stub


@contextlib.contextmanager
def attached(replaying: Replaying) -> Iterator[GdbStub]:
    """A connection to it; after the block the machine is stopped, another client may connect."""
    with contextlib.closing(GdbStub(replaying.socket, Deadline(_SECONDS))) as stub:
        yield stub


@contextlib.contextmanager
def started(recording: Recording, scratch: Path, snapshots: bool = False) -> Iterator[Replaying]:
    """The replaying QEMU, stopped at power-on; it is ended with the block.

    ``scratch``: a folder that has room for the ``SOCKET``.

    ``snapshots``: it can keep and load them, if it was recorded ``REWINDABLE``. Then it also
    stops at its power off, where gdb would otherwise report a lost connection.
    """
    socket, console = scratch / SOCKET, scratch / "console.log"
    with machine.staged(recording.boot) as (again, folder):
        argv = [*command(again, console), *recording.options]
        argv += _drive(scratch) if snapshots else []
        argv = icount.log_execution(argv, "replay", recording.log.absolute())
        argv += ["-gdb", f"unix:path={escape(str(socket))},server=on,wait=off", "-S"]
        log = scratch / "qemu.log"
        with log.open("wb") as errors:
            # A debugger's Ctrl-C is not QEMU's.
            process = machine.start(argv, errors, folder, own_group=True)
        try:
            Deadline(30).wait_for(
                lambda: socket.exists() or process.poll() is not None, "QEMU's gdbstub"
            )
            if process.poll() is not None:
                raise LabError(f"QEMU failed: {consoletext.tail(log.read_bytes(), 1)}")
            yield Replaying(socket, console)
        finally:
            process.kill()
            process.wait()


def _drive(scratch: Path) -> list[str]:
    """Where snapshots are: a drive that no device of the machine shows to the guest."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", scratch / _SNAPSHOTS, "16M"])
    return [
        "-no-shutdown",
        "-drive",
        f"file={escape(str(scratch / _SNAPSHOTS))},format=qcow2,if=none,id=snapshots",
    ]


def virtual_ns(stub: GdbStub) -> int:
    """Nanoseconds of the virtual clock, in steps of 10; only differences mean something."""
    counter = stub.physical(_HPET_COUNTER, 8)
    if counter is None:
        raise LabError("the machine has no HPET: its virtual clock cannot be read")
    return int.from_bytes(counter, "little") * _HPET_NS
