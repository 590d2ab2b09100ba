# SPDX-License-Identifier: GPL-2.0-or-later
"""A board without hardware: from lab.yaml's side nothing says that it is not metal.

    power    pyghmi's Bmc, a real IPMI 2.0 server, in a process of its own around one QEMU
    console  QEMU's serial port, socat's pair of terminals, ser2net with RFC 2217

The serial line outlives the machine and its power cycles, as a cable does. Files in the folder:

    password      the BMC's, mode 600
    direct.log    what QEMU itself wrote to the serial port, all boots together
    qemu.log      QEMU's own messages
    stuck         while it exists, the BMC says "on" and does nothing: a lying BMC
    dead          while it exists, the BMC agrees to everything, and the machine is off

Every process dies with the one that made the rig. The BMC is tests/helpers/bmc.py.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab.board.health import find_folder
from lab.board.lock import lock_path
from lab.config.board import BoardConfig
from lab.host.shell import free_port
from lab.system.deadline import Deadline
from lab.system.process import tie
from tests.helpers.project import PROJECT

USER, PASSWORD = "lab", "correct horse 9"
MAC = "52:54:00:12:34:56"
_SECONDS = 20.0


class Rig:
    """A board with its BMC and its terminal server. ``machine``: QEMU's words but the serial's."""

    ACCEPTER = "telnet(rfc2217),tcp"  # ser2net's word for what it speaks

    def __init__(self, folder: Path, machine: Sequence[str]) -> None:
        self.folder = folder
        self.machine = list(machine)
        self.password = folder / "password"
        self.direct = folder / "direct.log"
        self.ipmi_port = _free_udp_port()
        self.console_port = free_port()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def describe(self, **changes: Any) -> dict[str, Any]:
        """The board's entry for lab.yaml, as one would write it for a machine in a rack."""
        return {
            "power": {
                "kind": "ipmi", "address": "127.0.0.1", "port": self.ipmi_port, "user": USER,
                "password_file": str(self.password), "seconds": 20,
            },
            "console": {"kind": "rfc2217", "address": "127.0.0.1", "port": self.console_port},
            "mac": MAC,
            **changes,
        }  # fmt: skip

    @property
    def config(self) -> BoardConfig:
        return BoardConfig.model_validate(self.describe())

    def ipmitool(self, *words: str) -> str:
        """What an independent IPMI client says; it fails as that one does."""
        login = ["-I", "lanplus", "-H", "127.0.0.1", "-p", str(self.ipmi_port), "-U", USER]
        done = subprocess.run(
            ["ipmitool", *login, "-f", str(self.password), *words],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def start(self) -> None:
        """The cable, the terminal server and the BMC; the machine is off."""
        self.password.touch(mode=0o600)
        self.password.write_text(PASSWORD + "\n")
        self.start_cable()
        self.start_console()
        self.start_bmc()

    def start_cable(self) -> None:
        """The serial line."""
        near, far = self.folder / "near", self.folder / "far"
        ends = [f"pty,raw,echo=0,link={end}" for end in (near, far)]
        self._start("socat", ["socat", *ends])
        Deadline(_SECONDS).wait_for(lambda: near.exists() and far.exists(), "socat's terminals")

    def start_console(self) -> None:
        """The terminal server."""
        config = self.folder / "ser2net.yaml"
        config.write_text(
            f"connection: &board\n"
            f"  accepter: {self.ACCEPTER},127.0.0.1,{self.console_port}\n"
            f"  connector: serialdev,{self.folder / 'far'},115200n81,local\n"
            f"  options:\n    max-connections: 1\n"
        )
        self._start("ser2net", ["ser2net", "-n", "-c", str(config)])
        Deadline(_SECONDS).wait_for(self._listens, "ser2net")

    def _listens(self) -> bool:
        wanted = f"0100007F:{self.console_port:04X} 00000000:0000 0A"
        return wanted in Path("/proc/net/tcp").read_text()

    def start_bmc(self) -> None:
        """The BMC."""
        words = [
            sys.executable,
            "-m",
            "tests.helpers.bmc",
            str(self.folder),
            str(self.ipmi_port),
            USER,
        ]
        self._start("bmc", [*words, *self.machine, *self._serial()])
        Deadline(_SECONDS).wait_for((self.folder / "bmc.ready").exists, "the BMC")

    def _serial(self) -> list[str]:
        line = f"serial,id=s,path={self.folder / 'near'}"
        return ["-chardev", f"{line},logfile={self.direct},logappend=on", "-serial", "chardev:s"]

    def kill(self, name: str) -> None:
        """End a part at once: bmc (its QEMU goes with it), ser2net or socat."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def pause(self, name: str, stopped: bool = True) -> None:
        """Stop a part without ending it, as one that no longer answers; or let it go on."""
        self._processes[name].send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def stop(self) -> None:
        for name in reversed(list(self._processes)):
            self.kill(name)
        lock_path(self.config).unlink(missing_ok=True)
        said = find_folder(self.config)
        shutil.rmtree(said)
        said.with_suffix(".json").unlink(missing_ok=True)

    def _start(self, name: str, words: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                tie(words), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=PROJECT,
                process_group=0,
            )  # fmt: skip


@contextlib.contextmanager
def open_rig(folder: Path, machine: Sequence[str]) -> Iterator[Rig]:
    """A rig that runs while the block does."""
    rig = Rig(folder, machine)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
