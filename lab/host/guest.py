# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest on a Xen host: its xl configuration (pure), and its life from create to destroy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from lab.config.kinds import GuestKind
from lab.console.records import MARK
from lab.console.watch import MOST_BYTES, OVERLAP, Ending, Glance, Watch
from lab.errors import LabError
from lab.system.answers import cached_sha256
from lab.system.deadline import Deadline

if TYPE_CHECKING:  # cells without a Xen host need no ssh
    from lab.host.shell import Shell, Stream

FOLDER = "/var/lib/lab"
PREFIX = "lab-"  # of every guest's name
_POLL = 0.2


@dataclass(frozen=True)
class GuestSpec:
    """What xl is asked for. Kernel and ramdisk are paths on the host; memory in MiB.

    Without a ``ramdisk`` it gets none. ``cpus``: the host's processors that it may run on.
    """

    name: str
    kind: GuestKind  # pv, pvh or hvm
    kernel: str
    ramdisk: str
    args: str
    vcpus: int
    memory_mib: int
    native_tsc: bool  # emulated SVM reports RDTSCP as RDTSC: do not let Xen intercept it
    console: str = "hvc0"  # or ttyS0, an emulated port, for hvm kernels that have no other
    cpus: str = ""


def xl_config(spec: GuestSpec) -> str:
    """The guest's configuration. No disk, no network; whatever ends it destroys it."""
    lines = [
        f'name = "{spec.name}"',
        f'type = "{spec.kind}"',
        f'kernel = "{spec.kernel}"',
        *([f'ramdisk = "{spec.ramdisk}"'] if spec.ramdisk else []),
        f'cmdline = "console={spec.console} {spec.args}"',
        f"vcpus = {spec.vcpus}",
        f"memory = {spec.memory_mib}",
        *([f'cpus = "{spec.cpus}"'] if spec.cpus else []),
        'on_poweroff = "destroy"',
        'on_reboot = "destroy"',
        'on_crash = "destroy"',
        'on_watchdog = "destroy"',
    ]
    if spec.kind != "pv" and spec.native_tsc:
        lines.append('tsc_mode = "native"')
    if spec.kind == "hvm":
        # As few devices as xl allows: each costs seconds of probing under emulation.
        lines += ['vga = "none"', "nographic = 1", "usb = 0", "acpi = 1", "hpet = 0"]
    if spec.console == "ttyS0":
        lines.append('serial = "pty"')
    return "\n".join(lines) + "\n"


def upload(shell: Shell, file: Path) -> str:
    """Put a file on the host once, under the hash of its content; its path there."""
    remote = f"{FOLDER}/{cached_sha256(file)[:16]}"
    code, _, _ = shell.attempt(["test", "-f", remote])
    if code != 0:
        shell.put(file, remote)
    return remote


def run_guest(
    shell: Shell,
    spec: GuestSpec,
    console: Path,
    deadline: Deadline,
    seen: Callable[[Glance], None],
    stop: threading.Event,
    mark: bytes = MARK,
) -> Ending:
    """Create the guest paused, attach its console, let it run, and destroy it.

    The console goes to ``console`` as it comes. LabError when xl itself fails. ``mark``: of the
    records that end it.
    """
    watched = Watch(deadline, seen, stop, mark=mark)
    config = f"{FOLDER}/{spec.name}.cfg"
    shell.write(xl_config(spec), config)
    try:
        shell.run(["xl", "create", "-p", "-q", config], timeout=deadline.at_most(180).remaining())
        port = "pv" if spec.console == "hvc0" else "serial"
        with shell.stream(["xl", "console", "-t", port, spec.name]) as output:
            shell.run(["xl", "unpause", spec.name])
            with console.open("ab") as kept:
                how = _watch(output, kept, watched)
        # A console also ends when the host does: then it says nothing about the guest.
        detail = _shutdown_reason(shell, spec.name) if how == "exited" else ""
    finally:
        _destroy(shell, spec.name)
    return Ending(how, detail, watched.seconds(), watched.booted)


def _watch(output: Stream, kept: BinaryIO, watched: Watch) -> str:
    """Keep what the console says, until it ends or waiting longer is of no use."""
    end, size = b"", 0
    while True:
        data = output.read(_POLL)
        if data is None:
            return "exited"
        if data:
            _keep(data, kept)
            end, size = end[-OVERLAP:] + data, size + len(data)
            if watched.grew(end):
                return "finished"
        if size > MOST_BYTES:
            return "flooded"
        given_up = watched.find_reason_to_stop()
        if given_up:
            return given_up


def _keep(data: bytes, kept: BinaryIO) -> None:
    try:
        kept.write(data)
        kept.flush()
    except OSError as error:
        raise LabError(f"{kept.name}: the console cannot be kept ({error.strerror})") from None


def _shutdown_reason(shell: Shell, name: str) -> str:
    """The reason in xl's log why a domain ended on its own; LabError when the host is gone."""
    shell.run(["xl", "list"])
    _, said, _ = shell.attempt(["tail", "-n", "5", f"/var/log/xen/xl-{name}.log"])
    lines = [line.strip() for line in said.splitlines() if "reason code" in line]
    return lines[-1] if lines else ""


def _destroy(shell: Shell, name: str) -> None:
    """A guest that stays behind would disturb the next one: that is an error of the host's."""
    shell.attempt(["xl", "destroy", name], timeout=30)
    code, _, _ = shell.attempt(["xl", "list", name])
    if code == 0:
        raise LabError(f"the guest {name} could not be destroyed")
    shell.attempt(["rm", "-f", f"{FOLDER}/{name}.cfg"])


def destroy_leftovers(shell: Shell) -> None:
    """End guests of a controller that was killed."""
    for line in shell.run(["xl", "list"]).splitlines()[1:]:
        name = line.split()[0]
        if name.startswith(PREFIX):
            _destroy(shell, name)
