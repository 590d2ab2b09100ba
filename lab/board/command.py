# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab board list|status|on|off|console`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.board.board import find_board, have, open_board
from lab.board.console import Console
from lab.board.extra import require
from lab.board.health import find_fault, read_health
from lab.board.lock import find_holder
from lab.board.power import Power
from lab.board.source import describe
from lab.config.board import BoardConfig
from lab.config.lab import LabConfig
from lab.console.live import LiveText
from lab.exitcodes import Exit
from lab.system.scratch import open_scratch

_LOOK_SECONDS = 0.1
Say = Callable[[str], None]


def list_boards(config: LabConfig, say: Say) -> int:
    """`lab board list`: what lab.yaml says of them, their checks, who has them; asks none."""
    require()
    if not config.boards:
        say("lab.yaml has no boards (docs/boards.md says how to describe one)")
    for line in _table(config.boards):
        say(line)
    for name, board in config.boards.items():
        fault = find_fault(name, board)
        if fault:
            say(fault)
    return Exit.OK


def status(config: LabConfig, name: str, say: Say) -> int:
    """`lab board status`: whether it is on, by its power control, and who has it."""
    board = find_board(config.boards, name)
    require()
    state = "on" if Power(name, board.power).is_on() else "off"
    say(f"{name} is {state}; {_say_holder(board)}")
    return Exit.OK


def switch_on(config: LabConfig, name: str, say: Say) -> int:
    """`lab board on`: it stays on afterwards, and is nobody's."""
    with open_board(name, find_board(config.boards, name), leave_on=True) as board:
        board.power.on()
    say(f"{name} is on, and stays on until somebody switches it off")
    return Exit.OK


def switch_off(config: LabConfig, name: str, say: Say) -> int:
    """`lab board off`: also what a killed lab left on."""
    with open_board(name, find_board(config.boards, name)) as board:
        if board.left is not None:
            say(f"{name} had been left by a lab that is dead: {board.left}")
        board.power.off()
    say(f"{name} is off, and nobody has it")
    return Exit.OK


def show_console(config: LabConfig, name: str, write: Say) -> int:
    """`lab board console`: what its serial port says, made harmless, until Ctrl-C."""
    board = find_board(config.boards, name)
    with have(name, board), open_scratch("console") as folder:
        try:
            _show(Console(name, board), folder / "console.log", write)
        except KeyboardInterrupt:
            write("\n")
    return Exit.OK


def _show(console: Console, path: Path, write: Say) -> None:
    live = LiveText()
    with console.follow(path) as following, path.open("ab+") as content:
        content.seek(0)
        while True:
            following.check()
            data = content.read()
            text = live.add(data) if data else live.flush()
            if text:
                write(text)
            time.sleep(_LOOK_SECONDS)


def _table(boards: Mapping[str, BoardConfig]) -> list[str]:
    rows = [("board", "power", "console", "boot", "tags", "check", "held")]
    for name, board in boards.items():
        boot = board.boot.kind if board.boot else "-"
        tags = ",".join(board.tags) or "-"
        held = _say_holder(board)
        rows.append((name, board.power.kind, describe(board), boot, tags, _say_check(board), held))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
        if len(rows) > 1
    ]


def _say_check(board: BoardConfig) -> str:
    health = read_health(board)
    if health is None:
        return "never"
    return f"{'passed' if health.passed else 'FAILED'} {health.checked[:10]}"


def _say_holder(board: BoardConfig) -> str:
    holder, alive = find_holder(board)
    if holder is None:
        return "nobody has it"
    if alive:
        return f"held by {holder}"
    return f"left by a lab that is dead ({holder}): `lab board off` frees it"
