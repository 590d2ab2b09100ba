# SPDX-License-Identifier: GPL-2.0-or-later
"""A BMC around one QEMU: `python -m tests.helpers.bmc FOLDER PORT USER QEMU-WORD...`.

A real IPMI 2.0 server, pyghmi's, on the loopback address. The password is in FOLDER/password. While
FOLDER/stuck exists it lies: it says "on" and does nothing. While FOLDER/dead exists it agrees to
everything, and the machine is off. FOLDER/bmc.events has a line for each on and off that came.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pyghmi.ipmi.bmc import Bmc
from pyghmi.ipmi.private.serversession import ServerSession

from lab.system.process import tie

_HMAC_SHA1, _NO_SUCH_SUITE = 1, 0x11  # IPMI 2.0, tables 13-17 and 13-15
_NOT_IN_THIS_STATE = 0xD5
_open_session = ServerSession.create_open_session_response


def open_session(session: Any, request: bytearray) -> bytearray:
    """pyghmi has cipher suite 3 alone and takes any proposal for it; real ones refuse, so that
    the client proposes another.
    """
    if request[12] == _HMAC_SHA1:
        return bytearray(_open_session(session, request))
    return bytearray([request[0], _NO_SUCH_SUITE, 0, 0]) + request[4:8]


class BoardBmc(Bmc):  # type: ignore[misc] # pyghmi has no types
    """Its machine is ``argv``; QEMU dies with it."""

    def __init__(self, folder: Path, port: int, user: str, argv: list[str]) -> None:
        password = (folder / "password").read_text().strip()
        super().__init__({user: password}, port, address="127.0.0.1")
        self._folder = folder
        self._argv = argv
        self._process: subprocess.Popen[bytes] | None = None
        self._boot = "default"
        self._told = False

    @property
    def _dead(self) -> bool:
        return (self._folder / "dead").exists()

    @property
    def _stuck(self) -> bool:
        return (self._folder / "stuck").exists()

    def get_power_state(self) -> str:
        lives = self._process is not None and self._process.poll() is None
        if self._dead:
            return "on" if self._told else "off"
        return "on" if lives or self._stuck else "off"

    def _note(self, word: str) -> None:
        with (self._folder / "bmc.events").open("a") as out:
            out.write(f"{word}\n")

    def power_on(self) -> None:
        self._note("on")
        self._told = True
        if not self._dead and self.get_power_state() == "off":
            with (self._folder / "qemu.log").open("ab") as log:
                self._process = subprocess.Popen(tie(self._argv), stdout=log, stderr=log)

    def power_off(self) -> None:
        self._note("off")
        self._told = False
        if self._process is not None and not self._stuck:
            self._process.kill()
            self._process.wait()

    def power_cycle(self) -> int:
        if self.get_power_state() == "off":
            return _NOT_IN_THIS_STATE
        self.power_off()
        time.sleep(0.5)
        self.power_on()
        return 0

    power_reset = power_cycle

    def get_boot_device(self) -> str:
        return self._boot

    def set_boot_device(self, bootdevice: str) -> None:
        self._boot = bootdevice


def main(folder: Path, port: int, user: str, argv: list[str]) -> None:
    ServerSession.create_open_session_response = open_session
    board = BoardBmc(folder, port, user, argv)
    (folder / "bmc.ready").touch()
    while True:
        board.listen(timeout=30)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
