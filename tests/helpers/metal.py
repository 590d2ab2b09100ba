# SPDX-License-Identifier: GPL-2.0-or-later
"""A board that boots by network, without hardware: the rig's QEMU with iPXE in its network card."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.host.shell import free_port
from tests.helpers.rig import MAC, Rig, open_rig

OWN_WORDS = b"Welcome to the board's own system\r\nlogin: "
LAB_ADDRESS = "10.0.2.2"  # this machine, as QEMU's own network shows it inside
# Writes what follows it to COM1, waiting for the port before each byte, and halts.
_BOOT_SECTOR = bytes.fromhex(
    "fa 31c0 8ed8 be257c 909090"  # cli; ds = 0; si = the words behind the code
    "ac 84c0 7412 88c4"  # next byte, ended by zero; keep it in ah
    "bafd03 ec a820 74fb"  # until the port's line status says that it is free
    "88e0 baf803 ee ebe9 f4 ebfd"  # write; again; halt
)


@dataclass(frozen=True)
class Metal:
    """The rig, and the port on which its board looks for the lab."""

    rig: Rig
    port: int
    mac: str = MAC

    def describe(self, **changes: Any) -> dict[str, Any]:
        """The board's entry for lab.yaml."""
        boot = {"kind": "network", "address": LAB_ADDRESS, "port": self.port}
        return self.rig.describe(boot=boot, memory_mib=1024, mac=self.mac, **changes)


def write_chain(folder: Path, port: int) -> Path:
    """What the board's network hands out: iPXE is sent to the lab. The folder of the file."""
    served = folder / "tftp"
    served.mkdir(parents=True)
    chain = f"#!ipxe\nchain http://{LAB_ADDRESS}:{port}/boot/${{net0/mac}} || exit\n"
    (served / "boot.ipxe").write_text(chain)
    return served


@contextlib.contextmanager
def open_metal(folder: Path, mac: str = MAC, port: int = 0) -> Iterator[Metal]:
    """It is off. Its disk has a known-good system: a boot sector that says ``OWN_WORDS``.

    Several boards may share a ``port``: each looks for the lab there, by its own ``mac``.
    """
    port = port or free_port()
    served = write_chain(folder, port)
    disk = folder / "disk"
    sector = (_BOOT_SECTOR + OWN_WORDS).ljust(510, b"\0") + b"\x55\xaa"
    disk.write_bytes(sector.ljust(1 << 20, b"\0"))
    machine = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
        "-accel", "tcg", "-cpu", "max,-smap,-smep", "-smp", "1", "-m", "1024",
        "-netdev", f"user,id=n,tftp={served},bootfile=boot.ipxe",
        "-device", f"e1000,netdev=n,mac={mac},bootindex=0",
        "-drive", f"file={disk},format=raw,if=none,id=d",
        "-device", "ide-hd,drive=d,bootindex=1",
    ]  # fmt: skip
    (folder / "rig").mkdir()
    with open_rig(folder / "rig", machine) as rig:
        yield Metal(rig, port, mac)


def build_init(folder: Path, body: str) -> bytes:
    """A static program without a C library that runs ``body`` as a guest's first process."""
    source, program = folder / "init.c", folder / "init"
    source.write_text(
        "static long call(long n, long a, long b, long c) { long r; __asm__ volatile"
        '("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");'
        f" return r; }}\nvoid _start(void) {{ {body} }}\n"
    )
    words = ["gcc", "-static", "-nostdlib", "-ffreestanding", "-O1", "-o", str(program)]
    subprocess.run([*words, str(source)], check=True)
    return program.read_bytes()
