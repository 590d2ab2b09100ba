# SPDX-License-Identifier: GPL-2.0-or-later
"""Consoles that need no library: a TCP connection, and a program in a terminal of its own.

What ``take`` does is said in ``lab.board.source``.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import subprocess
import tty
from pathlib import Path

from lab.system.process import tie

CONNECT_SECONDS = 5.0
_CHUNK = 65536


def keep_alive(link: socket.socket) -> None:
    """Let the kernel notice within half a minute that the other side has vanished."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class TcpSource:
    """The bytes of a TCP connection, as they are."""

    def __init__(self, address: str, port: int) -> None:
        self._link = socket.create_connection((address, port), timeout=CONNECT_SECONDS)
        keep_alive(self._link)

    def take(self, seconds: float) -> bytes:
        """See the module."""
        if not select.select([self._link], [], [], seconds)[0]:
            return b""
        data = self._link.recv(_CHUNK)
        if not data:
            raise ConnectionError("the other side closed the connection")
        return data

    def close(self) -> None:
        self._link.close()


class CommandSource:
    """What a program writes to its terminal, which is raw. Its errors go to ``notes``."""

    def __init__(self, words: list[str], notes: Path) -> None:
        self._program = words[0]
        self._master, slave = pty.openpty()
        try:
            tty.setraw(slave)
            with notes.open("ab") as errors:
                self._process = subprocess.Popen(
                    tie(words, "TERM"), stdin=slave, stdout=slave, stderr=errors, process_group=0
                )
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)

    def take(self, seconds: float) -> bytes:
        """See the module."""
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        with contextlib.suppress(OSError):  # EIO: the last one who had it open is gone
            data = os.read(self._master, _CHUNK)
            if data:
                return data
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        raise ConnectionError(f"{self._program} ended ({self._process.poll()})")

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(3)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        os.close(self._master)
