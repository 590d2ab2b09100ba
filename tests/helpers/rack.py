# SPDX-License-Identifier: GPL-2.0-or-later
"""A board without hardware that has a system of its own: GRUB, Debian with Xen, ssh.

It boots by network where the lab offers something, else from its disk. lab.yaml can describe it
twice, once for each way.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.host.image import Dom0Image
from lab.host.shell import free_port
from tests.helpers.gooddisk import make_disk
from tests.helpers.metal import LAB_ADDRESS, write_chain
from tests.helpers.project import PROJECT
from tests.helpers.rig import MAC, Rig, open_rig

# As hvm and pvh guests need it on QEMU's emulated SVM, which reports RDTSCP as RDTSC and, now and
# then, loses XSAVE state (lab/trial/assignment.py, lab/host/guest.py).
_CPU = "max,-smap,-smep,-rdtscp,-xsave"


@dataclass(frozen=True)
class Rack:
    """The rig, the port on which its board looks for the lab, and the port of its ssh."""

    rig: Rig
    port: int
    ssh: int
    image: Dom0Image

    @property
    def before(self) -> Path:
        """What its own system had before it was prepared."""
        return self.rig.folder / "before.txt"

    def describe(self, kind: str) -> dict[str, Any]:
        """The board's entry for lab.yaml; ``kind``: network or grub."""
        keys = self.image.keys
        ways = {
            "network": {"kind": "network", "address": LAB_ADDRESS, "port": self.port},
            "grub": {"kind": "grub"},
        }
        ssh = {
            "address": "127.0.0.1", "port": self.ssh, "identity": str(keys.identity),
            "host_key": keys.public(keys.host),
        }  # fmt: skip
        return self.rig.describe(boot=ways[kind], ssh=ssh, memory_mib=3072)

    def fab(self, *words: str) -> str:
        """A playbook on its own system, by the command line."""
        argv = [sys.executable, "-m", "fabric", "-r", "playbooks", "-H"]
        host = f"root@127.0.0.1:{self.ssh}"
        done = subprocess.run(
            [*argv, host, "-i", str(self.image.keys.identity), *words],
            cwd=PROJECT, capture_output=True, text=True, timeout=1800,
            env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin", "HOME": str(self.rig.folder)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextlib.contextmanager
def open_rack(folder: Path) -> Iterator[Rack]:
    """It is off; its GRUB does not know the lab yet."""
    port, ssh = free_port(), free_port()
    served = write_chain(folder, port)
    disk = folder / "disk"
    image = make_disk(disk)
    machine = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
        "-machine", "q35", "-accel", "tcg", "-cpu", _CPU, "-smp", "2", "-m", "3072",
        "-netdev", f"user,id=n,tftp={served},bootfile=boot.ipxe,hostfwd=tcp:127.0.0.1:{ssh}-:22",
        "-device", f"e1000e,netdev=n,mac={MAC},bootindex=0",
        "-drive", f"file={disk},format=raw,if=none,id=d,cache=unsafe",
        "-device", "ide-hd,drive=d,bus=ide.0,bootindex=1",
    ]  # fmt: skip
    (folder / "rig").mkdir()
    with open_rig(folder / "rig", machine) as rig:
        yield Rack(rig, port, ssh, image)
