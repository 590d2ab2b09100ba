# SPDX-License-Identifier: GPL-2.0-or-later
"""A board that this process has: its power and its console."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.board.console import Console
from lab.board.lock import Holder, Lock, hold, myself
from lab.board.place import hold_place
from lab.board.power import Power
from lab.config.board import BoardConfig, LabgridPower
from lab.errors import UserError


@dataclass(frozen=True)
class Board:
    """``left``: the dead process that had left it on; it was switched off because of that."""

    name: str
    config: BoardConfig
    power: Power
    console: Console
    left: Holder | None = None


@contextlib.contextmanager
def have(name: str, config: BoardConfig) -> Iterator[Lock]:
    """Hold the lock of this machine, and the labgrid place; HeldError when somebody has it."""
    with hold(name, config) as lock, contextlib.ExitStack() as stack:
        if isinstance(config.power, LabgridPower):
            stack.enter_context(hold_place(name, config.power, myself()))
        yield lock


def find_board(boards: Mapping[str, BoardConfig], name: str) -> BoardConfig:
    """The board of that name; UserError for another name."""
    if name not in boards:
        there = ", ".join(boards) or "none"
        raise UserError(f"there is no board {name!r} under 'boards:' of lab.yaml ({there})")
    return boards[name]


@contextlib.contextmanager
def open_board(name: str, config: BoardConfig, leave_on: bool = False) -> Iterator[Board]:
    """Have the board while the block runs.

    LabError when a living process has it, naming that one; when its power control fails. What a
    dead process left on is switched off first. At the block's end a board that the block switched
    on is switched off, unless ``leave_on``; where that fails, the next one who opens it knows.
    """
    with have(name, config) as lock:
        power = Power(name, config.power, lock.note)
        if lock.left is not None:
            power.off()
        try:
            yield Board(name, config, power, Console(name, config), lock.left)
        except BaseException:
            _end(power, lock.powered)
            raise
        if leave_on:
            lock.note(False)
        else:
            _end(power, lock.powered)


def _end(power: Power, powered: bool) -> None:
    if powered:
        power.off()
