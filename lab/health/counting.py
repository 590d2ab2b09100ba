# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot of the counting program on a board: repro/counter.c, with a nonce of its own."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.board.board import Board
from lab.board.console import Following
from lab.board.netboot import LOG, NetBootServer, Offer
from lab.config.cells import Cell
from lab.console.counted import LINE, compare, find_text, make_text
from lab.console.records import MARK, parse
from lab.console.text import tail
from lab.errors import LabError
from lab.system.deadline import Deadline
from lab.trial.assignment import Assignment
from lab.trial.board import BoardPlace

LINES = 2048  # 128 KiB: 11 s at 115200 baud
_POLL_SECONDS = 0.1
_KERNEL_SECONDS = 180.0  # from the kernel's command line on the console to the program
_GRACE_SECONDS = 5.0  # from the request that shows that a board has rebooted, for what it says
_BITS = 10  # of a byte on a serial line: start, eight, stop


@dataclass(frozen=True)
class Bench:
    """What counting boots are made of."""

    machine: Board
    place: BoardPlace
    server: NetBootServer
    cell: Cell
    kernel: Path
    ramdisk: Path  # of the counting program
    folder: Path
    boot_seconds: float


@dataclass
class Counting:
    """One boot. ``lines``: of text that it prints."""

    name: str
    nonce: str
    lines: int
    speed: int
    console: Path
    following: Following
    offer: Offer

    def await_nonce(self, deadline: Deadline) -> float:
        """Until the console shows this boot's nonce; seconds. LabError when it does not."""
        began = time.monotonic()
        mark = f"={self.nonce}".encode()
        if not self._await(lambda: mark in self.console.read_bytes(), deadline, self._came_back):
            raise LabError(self._explain(deadline))
        return time.monotonic() - began

    def count(self) -> str:
        """Until the text has ended: what became of it. LabError where a byte of it is not whole."""
        sent = make_text(self.lines)
        limit = _KERNEL_SECONDS + 2 * _BITS * len(sent) / self.speed
        whole = self._await(self._is_counted, Deadline(limit), lambda: False)
        console = self.console.read_bytes()
        came = find_text(console)
        if came is None:
            raise LabError(
                f"the counting program never started within {limit:.0f} s; "
                f"the console last said: {tail(console, 1)}"
            )
        tally = compare(sent, came)
        said = str(tally)
        if self.following.losses:
            said += f"; the connection to the console was lost {self.following.losses} times"
        if not whole:
            said += f"; its end did not come within {limit:.0f} s"
        if not tally.whole or self.following.losses or not whole:
            raise LabError(said)
        took = parse(console).of("text")[0].seconds() or 0.0
        rate = f", {LINE * self.lines / took:,.0f} bytes/s" if took else ""
        return f"{said}{rate} ({self.speed} baud)"

    def await_return(self, deadline: Deadline) -> str:
        """Until it has counted, rebooted, and asked again: what it was given then.

        LabError when it does not.
        """
        if not self._await(self._is_counted, deadline, self._came_back):
            raise LabError("the counting program did not end")
        back = self._await(lambda: self.offer.came_back is not None, deadline, lambda: False)
        if not back:
            raise LabError(
                f"it did not ask the lab again within {deadline.seconds:.0f} s after its reboot"
            )
        self._await(lambda: False, Deadline(_GRACE_SECONDS), lambda: False)
        said = tail(self.console.read_bytes().rpartition(MARK)[2].partition(b"\n")[2], 1)
        more = f"; its console then said: {said}" if said else ""
        return f"the script was given once; asking again after its reboot it was given exit{more}"

    def _is_counted(self) -> bool:
        return parse(self.console.read_bytes()).last("text") is not None

    def _came_back(self) -> bool:
        back = self.offer.came_back
        return back is not None and time.monotonic() - back > _GRACE_SECONDS

    def _await(
        self, event: Callable[[], bool], deadline: Deadline, hopeless: Callable[[], bool]
    ) -> bool:
        """Whether it came. LabError for a fault of the console's file or of the server's."""
        while not event():
            self.following.check()
            if self.offer.problem:
                raise LabError(self.offer.problem)
            if deadline.expired or hopeless():
                return event()
            deadline.pause(_POLL_SECONDS)
        return True

    def _explain(self, deadline: Deadline) -> str:
        """Why the console does not show this boot's nonce."""
        if self.following.size == 0:
            # The sentence of a board that is dead though its power control says on.
            self.following.wait_for_bytes(Deadline(0))
        asked = "it never asked the lab what to boot"
        if self.offer.given:
            asked = "it was given the script"
        if self.offer.came_back is not None:
            asked = "it asked the lab again what to boot"
        return (
            f"its console does not show this boot's nonce after {deadline.seconds:.0f} s "
            f"({asked}); it last said: {tail(self.console.read_bytes(), 1)}"
        )


@contextlib.contextmanager
def boot(bench: Bench, number: int, then: str) -> Iterator[Counting]:
    """Off, and on with the counting program on offer; off again at the block's end."""
    machine = bench.machine
    folder = bench.folder / str(number)
    folder.mkdir(parents=True)
    console, nonce = folder / "console.log", secrets.token_hex(4)
    words = f"panic=1 {bench.cell.args} mmx.run={nonce} mmx.lines={LINES} mmx.then={then}"
    task = Assignment(
        bench.cell, bench.kernel, bench.ramdisk, " ".join(words.split()), machine.config.memory_mib,
        nonce, Deadline(bench.boot_seconds), number,
    )  # fmt: skip
    boot = bench.place.make_boot(task)
    with (
        bench.server.offer(boot, console.with_name(LOG)) as offer,
        machine.console.follow(console) as following,
    ):
        try:
            machine.power.off()
            machine.power.on()
            yield Counting(
                machine.name, nonce, LINES, machine.config.speed, console, following, offer
            )
        finally:
            machine.power.off()
