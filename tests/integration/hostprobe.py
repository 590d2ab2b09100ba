"""What test_host.py asks of the host module, each in a process of its own.

Libvirt's embedded driver can be opened once in a process's life, and then no other process may
use the same folder: pytest itself must never open it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from lab.config import load
from lab.deadline import Deadline
from lab.domimage import Dom0Image
from lab.errors import LabError
from lab.files import PROJECT
from lab.host import READY_SECONDS, HostPlan, NestedHost, strays
from lab.shell import Shell
from lab.supplies import gather_host
from lab.xenhost import nested_host


def ignore(*_words: str) -> None:
    """Progress is of no interest here."""


def wrong_key(folder: Path) -> None:
    """Take over the running host; then ask with another pinned key, and hold it twice."""
    config = load(PROJECT / "lab.yaml")
    host = nested_host(config, gather_host(config, ignore))
    host.start(Deadline(READY_SECONDS), ignore)
    assert host.shell is not None
    print("reused", host.reused)
    key = folder / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    wrong = replace(host.shell.address, host_key=key.with_suffix(".pub").read_text())
    told(lambda: Shell(wrong).run(["true"]))
    shell = host.shell
    told(lambda: shell.run(["sh", "-c", "echo no >&2; exit 3"]))
    told(lambda: NestedHost(host.plan).start(Deadline(10), ignore))
    host.release()


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
    deadline = Deadline(READY_SECONDS)
    told(lambda: host.start(deadline, ignore))
    print("expired", deadline.expired)
    host.stop()
    print("strays", strays(host.name))


def told(action: object) -> None:
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
        {"wrong_key": wrong_key, "panic": panic}[sys.argv[1]](Path(spare))
