# SPDX-License-Identifier: GPL-2.0-or-later
"""What test_host.py asks of the host module, each in a process of its own.

Libvirt's embedded driver can be opened once in a process's life, and then no other process may
use the same folder: pytest itself must never open it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from lab.config.load import load
from lab.errors import LabError
from lab.host.image import Dom0Image
from lab.host.nested import READY_SECONDS, NestedHost, strays
from lab.host.plan import HostPlan
from lab.host.ready import NONCE
from lab.host.shell import Shell
from lab.supplies.gather import gather_host
from lab.system.deadline import Deadline
from lab.trial.xenhost import nested_host
from tests.helpers.project import PROJECT


def ignore(*_words: str) -> None:
    """Progress is of no interest here."""


def wrong_key(folder: Path) -> None:
    """Take over the running host; then ask with another pinned key, and hold it twice."""
    config = load(PROJECT / "lab.yaml")
    host = nested_host(config, gather_host(config, ignore))
    host.start(Deadline(READY_SECONDS[host.plan.accelerator]), ignore)
    assert host.shell is not None
    print("taken over", host.taken_over)
    key = folder / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    wrong = replace(host.shell.address, host_key=key.with_suffix(".pub").read_text())
    print_error(lambda: Shell(wrong).run(["true"]))
    shell = host.shell
    print_error(lambda: shell.run(["sh", "-c", "echo no >&2; exit 3"]))
    print_error(lambda: NestedHost(host.plan).start(Deadline(10), ignore))
    host.release()


def saved(_folder: Path) -> None:
    """Start a host, which leaves a saved state, and print all that it reports."""
    host = _host()
    host.start(Deadline(READY_SECONDS[host.plan.accelerator]), print)
    print("did", ", ".join(sorted(host.seconds)))
    found = host.find_saved()
    print("left to be resumed" if found and found.exists() else "nothing left")
    host.stop()


def resumed(_folder: Path) -> None:
    """Start it from that state, and look whether it is in order."""
    host = _host()
    host.start(Deadline(READY_SECONDS[host.plan.accelerator]), ignore)
    print("did", ", ".join(sorted(host.seconds)))
    assert host.shell is not None
    behind = time.time() - float(host.shell.run(["date", "+%s.%N"]))
    print("clock right", -1 < behind < 30)
    listed = host.shell.run(["xl", "list"]).splitlines()[1:]
    print("domains", " ".join(line.split()[0] for line in listed))
    words = host.check()["xen_commandline"].split()
    print(*(word for word in words if word.startswith("lab=")))
    print(host.shell.run(["cat", NONCE]))
    host.stop()


def damage(_folder: Path) -> None:
    """Cut the saved memory short."""
    found = _host().find_saved()
    assert found is not None
    with found.memory.open("r+b") as memory:
        memory.truncate(found.memory.stat().st_size // 2)


def _host() -> NestedHost:
    config = load(PROJECT / "lab.yaml")
    return nested_host(config, gather_host(config, ignore))


def panic(folder: Path) -> None:
    """A dom0 whose ramdisk is rubbish."""
    supplies = gather_host(load(PROJECT / "lab.yaml"), ignore)
    assert supplies.image is not None
    image = folder / "image"
    image.mkdir()
    for name in ("disk.img", "vmlinuz", "xen"):
        (image / name).symlink_to(supplies.image.folder / name)
    (image / "initrd.img").write_bytes(b"no ramdisk at all")
    qemu, accelerator = str(supplies.qemu.path), supplies.accel.name
    rubbish = Dom0Image(image, supplies.image.keys)
    host = NestedHost(HostPlan(qemu, accelerator, 2048, 1, rubbish), folder / "host")
    deadline = Deadline(READY_SECONDS[host.plan.accelerator])
    print_error(lambda: host.start(deadline, ignore))
    print("expired", deadline.expired)
    host.stop()
    print("strays", strays(host.name))


def print_error(action: object) -> None:
    """Print the LabError that an action must end with."""
    assert callable(action)
    try:
        action()
    except LabError as error:
        print("LabError:", error)
    else:
        print("no error")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as spare:
        probes = {
            "wrong_key": wrong_key, "panic": panic, "saved": saved, "resumed": resumed,
            "damage": damage,
        }  # fmt: skip
        probes[sys.argv[1]](Path(spare))
