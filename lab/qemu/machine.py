# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of one QEMU: started, watched, ended. The native and dom0 kinds need nothing else."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from lab.console import text as consoletext
from lab.console.records import MARK
from lab.console.watch import MOST_BYTES, OVERLAP, Ending, Glance, Watch
from lab.qemu import icount, kvm
from lab.qemu.boot import Boot, command, members, portable
from lab.system.deadline import Deadline
from lab.system.files import read_from
from lab.system.process import tie
from lab.system.room import find_shortage, is_full
from lab.system.scratch import open_scratch

_POLL = 0.03  # a look at the console's size: microseconds


@contextlib.contextmanager
def staged(boot: Boot) -> Iterator[tuple[Boot, Path]]:
    """The same boot with its files under fixed names in a folder to start QEMU in.

    Xen's boot modules carry the file names that QEMU was given: a longer path takes the guest
    a few instructions more to copy, and a deterministic console then differs by nanoseconds.
    """
    with open_scratch("boot") as folder:
        for member, path in members(boot).items():
            (folder / member).symlink_to(path.absolute())
        yield portable(boot), folder


def start(
    argv: Sequence[str], log: IO[bytes], folder: Path | None = None, own_group: bool = False
) -> subprocess.Popen[bytes]:
    """Start QEMU, its own messages going to ``log``; it dies with the controller.

    ``own_group``: a terminal's Ctrl-C does not reach it.
    """
    return subprocess.Popen(
        tie(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
        process_group=0 if own_group else None,
    )  # fmt: skip


def run(
    argv: Sequence[str],
    console: Path,
    deadline: Deadline,
    seen: Callable[[Glance], None],
    stop: threading.Event,
    to_power_off: bool = False,
    folder: Path | None = None,
    mark: bytes = MARK,
) -> Ending:
    """Boot and watch the console file until the program's last record, a death or the deadline.

    ``seen`` gets a look at every growth of the console. ``to_power_off``: after the last record
    wait for the machine to power itself off, so that the console ends where the guest ends it.
    ``folder``: where to start QEMU, for a command line of ``staged`` names. ``mark``: of the
    program's records.
    QEMU dies with the controller, and never outlives this call.
    """
    watched = Watch(deadline, seen, stop, mark=mark)
    console.touch()
    log = console.with_name("qemu.log")
    with log.open("wb") as errors:
        try:
            process = start(argv, errors, folder)
        except OSError as error:
            return Ending("lab_error", f"QEMU could not be started: {error}")
        try:
            how = _watch(process, console, watched, to_power_off, log)
            code = process.poll()
        finally:
            _end(process)
    # QEMU drops what it cannot write: the guest's silence would then be the disk's.
    short = "" if how == "finished" else find_shortage(console.parent)
    if how == "full" or short:
        said = short or "no room is left"
        why = f"{said}: {console} could not be kept whole"
        return Ending("lab_error", why, watched.seconds())
    if how == "failed":
        return Ending("lab_error", f"KVM failed: {_failure(log)}", watched.seconds())
    if how == "exited" and code != 0:
        said = consoletext.tail(log.read_bytes(), 1)
        return Ending("lab_error", f"QEMU failed: {said or code}", watched.seconds())
    return Ending(how, "", watched.seconds(), watched.booted)


def run_exactly(
    boot: Boot,
    console: Path,
    deadline: Deadline,
    seen: Callable[[Glance], None],
    stop: threading.Event,
    record: Path | None = None,
    options: Sequence[str] = (),
) -> Ending:
    """Run a deterministic boot to its power off; its console is the same everywhere.

    ``record``: a file for the log of its execution, which a debugger's replay needs.
    ``options``: more of QEMU's.
    """
    with staged(boot) as (again, folder):
        argv = [*command(again, console.absolute()), *options]
        if record is not None:
            argv = icount.log_execution(argv, "record", record)
        return run(argv, console, deadline, seen, stop, to_power_off=True, folder=folder)


def _watch(
    process: subprocess.Popen[bytes], console: Path, watched: Watch, to_power_off: bool, log: Path
) -> str:
    size, finished = 0, False
    while True:
        exited = process.poll() is not None
        grown = console.stat().st_size
        if grown != size:
            content = read_from(console, size - OVERLAP, MOST_BYTES)
            finished = watched.grew(content) or finished
            size = grown
            if finished and not to_power_off:
                return "finished"
        if size > MOST_BYTES:
            return "flooded"
        if exited:
            return "finished" if finished else "exited"
        if is_full(console.parent):
            return "full"
        # QEMU stays, its machine stopped: the silence would look like a hung guest's.
        if _failure(log):
            return "failed"
        given_up = watched.find_reason_to_stop()
        if given_up:
            return given_up
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL)


def _failure(log: Path) -> str:
    """How KVM failed under the machine, from QEMU's own messages; empty when it did not."""
    return kvm.find_failure(log.read_bytes().decode(errors="replace"))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
