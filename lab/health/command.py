# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab board check`: from a board's name to the exit code."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.board.board import Board, find_board, open_board
from lab.board.extra import require
from lab.board.health import Health, find_folder, write_health
from lab.board.lock import HeldError
from lab.board.netboot import NetBootServer
from lab.config.board import BoardConfig, NetworkBoot
from lab.config.hosts import NamedHostConfig
from lab.config.lab import LabConfig
from lab.errors import LabError
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.health.counting import Bench
from lab.health.course import Controls, check_booting, check_without_boot
from lab.health.goodsystem import GoodSystem
from lab.health.parts import Parts
from lab.health.setup import find_cell, make_config
from lab.report.board import Board as Progress
from lab.report.terminal import Terminal
from lab.supplies.gather import Supplies, gather_showing, make_ramdisk
from lab.supplies.program import counter
from lab.system.files import shorten
from lab.trial.board import BoardPlace
from lab.trial.job import Job

Say = Callable[[str], None]


def check(config: LabConfig, name: str, quick: bool, say: Say) -> int:
    """`lab board check`: every part of it that is configured, and the outcome kept.

    A board that another lab has, bad input, and what cannot be gathered are not the board's
    fault: they raise, and what is known of it stays.
    """
    board = find_board(config.boards, name)
    require()
    good = GoodSystem(name, board.ssh) if board.ssh else None
    began, parts, folder = time.monotonic(), Parts(say), find_folder(board)
    if isinstance(board.boot, NetworkBoot):
        _check_by_network(parts, make_config(config, name), name, good, quick, folder)
    else:
        with _open(parts, name, board, folder) as machine:
            seconds = NamedHostConfig(board=name).boot_seconds
            why = "the check boots only by network" if board.boot else "no boot:"
            check_without_boot(parts, machine, good, folder / "console.log", seconds, why)
    return _conclude(name, write_health(board, parts.done), time.monotonic() - began, folder, say)


def _conclude(name: str, health: Health, seconds: float, folder: Path, say: Say) -> int:
    say("")
    if health.passed:
        say(f"{name} is in the pool: every part that is configured passed ({seconds:.0f} s)")
    else:
        say(f"{name} is out of the pool since {health.since} ({seconds:.0f} s): {health.why}")
    say(f"what it said  {shorten(folder)}")
    return Exit.OK if health.passed else Exit.LAB_ERROR


def _check_by_network(
    parts: Parts, config: LabConfig, name: str, good: GoodSystem | None, quick: bool, folder: Path
) -> None:
    board = config.boards[name]
    assert isinstance(board.boot, NetworkBoot)
    assert board.mac is not None  # as is checked when the file is read
    native, dom0 = find_cell(config, "native"), find_cell(config, "dom0")
    supplies = gather_showing(config, [native] if quick else [native, dom0], Terminal(), [])
    serving = NetBootServer(board.boot.listen, board.boot.port, [board.mac])
    with serving as server, _open(parts, name, board, folder) as machine:
        bench = Bench(
            machine, BoardPlace(machine, name, board, supplies, server, config.xen.args), server,
            native, supplies.kernels[native.kernel].kernel.image, make_ramdisk(counter()), folder,
            config.hosts[native.host].boot_seconds,
        )  # fmt: skip
        controls = None if quick else Controls(_make_job(config, supplies, folder), native, dom0)
        check_booting(parts, bench, good, controls)


def _make_job(config: LabConfig, supplies: Supplies, folder: Path) -> Job:
    """Its evidence is kept with the check, not among the runs."""
    return Job(config, supplies, RunFolder(folder / "control"), Progress(), threading.Event())


@contextlib.contextmanager
def _open(parts: Parts, name: str, board: BoardConfig, folder: Path) -> Iterator[Board]:
    """The board, and an empty folder. What fails of it is its fault, unless another lab has it."""
    try:
        with open_board(name, board) as machine:
            shutil.rmtree(folder)
            folder.mkdir()
            yield machine
    except HeldError:
        raise
    except LabError as error:
        parts.fail("power off" if parts.done else "power", str(error))
