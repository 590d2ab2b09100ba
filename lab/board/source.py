# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a console's bytes come from. A source never discards what it got.

``take`` answers what is there, and after so many seconds nothing; OSError when the connection is
lost, and only after everything that came before was handed out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lab.board.stream import CommandSource, TcpSource
from lab.config.board import (
    BoardConfig,
    CommandConsole,
    DeviceConsole,
    Rfc2217Console,
    TcpConsole,
)


class Source(Protocol):
    """An open connection."""

    def take(self, seconds: float) -> bytes: ...

    def close(self) -> None: ...


def open_source(config: BoardConfig, notes: Path, again: bool) -> Source:
    """Connect; OSError when that fails. ``again``: what is waiting belongs to this boot."""
    match config.console:
        case TcpConsole(address=address, port=port):
            return TcpSource(address, port)
        case CommandConsole(command=words):
            return CommandSource(words, notes)
        case Rfc2217Console(address=address, port=port):
            from lab.board.serialport import Rfc2217Source

            return Rfc2217Source(address, port, config.speed, again)
        case DeviceConsole(path=path):
            from lab.board.serialport import DeviceSource

            return DeviceSource(path, config.speed, again)


def describe(config: BoardConfig) -> str:
    """A console in a word or two, for messages."""
    match config.console:
        case TcpConsole(address=address, port=port):
            return f"tcp {address} port {port}"
        case Rfc2217Console(address=address, port=port):
            return f"rfc2217 {address} port {port}"
        case DeviceConsole(path=path):
            return str(path)
        case CommandConsole(command=words):
            return f"command {words[0]}"
