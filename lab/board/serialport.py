# SPDX-License-Identifier: GPL-2.0-or-later
"""Serial ports, of this machine and behind RFC 2217: the one owner of pyserial.

pyserial loses bytes in two places that matter here: it empties its buffer whenever a port is
opened, and a read that meets a lost connection throws away what it had. Both are mended below.
It comes with labgrid as pyserial-labgrid; ``_read_buffer`` is that version's.
"""

from __future__ import annotations

import contextlib
import queue
import socket
from pathlib import Path
from typing import Any

import serial
import serial.rfc2217

from lab.board.stream import CONNECT_SECONDS, keep_alive

_CHUNK = 65536


class _KeepingRfc2217(serial.rfc2217.Serial):  # type: ignore[misc] # pyserial has no types
    keep = False

    def reset_input_buffer(self) -> None:
        """Not where what waits is part of this boot."""
        if not self.keep:
            super().reset_input_buffer()

    @property
    def link(self) -> socket.socket:
        found: socket.socket = self._socket
        return found

    @property
    def waiting(self) -> queue.Queue[bytes | None]:
        """Single bytes, and None at the connection's end."""
        found: queue.Queue[bytes | None] = self._read_buffer
        return found

    @property
    def reading(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


class Rfc2217Source:
    """A terminal server's port: telnet with RFC 2217, which sets the line's speed."""

    def __init__(self, address: str, port: int, speed: int, again: bool) -> None:
        host = f"[{address}]" if ":" in address else address
        self._port = _KeepingRfc2217()
        self._port.keep = again
        self._port.port = f"rfc2217://{host}:{port}?ign_set_control&timeout={CONNECT_SECONDS:.0f}"
        self._port.baudrate = speed
        self._ended = False
        self._port.open()
        keep_alive(self._port.link)

    def take(self, seconds: float) -> bytes:
        """See ``lab.board.source``."""
        found = bytearray()
        if not self._ended:
            with contextlib.suppress(queue.Empty):
                self._add(found, self._port.waiting.get(timeout=max(seconds, 0.001)))
                while not self._ended and len(found) < _CHUNK:
                    self._add(found, self._port.waiting.get_nowait())
        if found:
            return bytes(found)
        if self._ended or not (self._port.reading or self._port.waiting.qsize()):
            raise ConnectionError("the terminal server closed the connection")
        return b""

    def _add(self, found: bytearray, byte: bytes | None) -> None:
        if byte is None:
            self._ended = True
        else:
            found += byte

    def close(self) -> None:
        self._port.close()


class _KeepingDevice(serial.Serial):  # type: ignore[misc] # pyserial has no types
    keep = False

    def _reset_input_buffer(self) -> None:
        if not self.keep:
            super()._reset_input_buffer()


class DeviceSource:
    """A serial device, for us alone."""

    def __init__(self, path: Path, speed: int, again: bool) -> None:
        self._port: Any = _KeepingDevice()
        self._port.keep = again
        self._port.port = str(path)
        self._port.baudrate = speed
        self._port.exclusive = True
        self._port.open()

    def take(self, seconds: float) -> bytes:
        """See ``lab.board.source``. One read of what is there: nothing to lose in between."""
        self._port.timeout = seconds
        return bytes(self._port.read(max(1, min(self._port.in_waiting, _CHUNK))))

    def close(self) -> None:
        self._port.close()
