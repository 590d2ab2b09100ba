# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's known-good system, by ssh: that it answers with its key, its clock, its Xen."""

from __future__ import annotations

import time

from lab.config.board import BoardSsh
from lab.errors import LabError
from lab.host.address import find_board_address
from lab.host.ready import parse_xl_info
from lab.host.shell import Shell, WrongKeyError
from lab.system.deadline import Deadline

_TRY_SECONDS = 10.0
_MOST_APART = 60.0  # seconds between its clock and ours; more makes its logs useless


class GoodSystem:
    """Made without touching the network. Each method says what it saw, or raises LabError."""

    def __init__(self, name: str, ssh: BoardSsh) -> None:
        self._where = f"{ssh.user}@{ssh.address} port {ssh.port}"
        self._shell = Shell(find_board_address(name, ssh))

    def await_answer(self, deadline: Deadline, since: float) -> str:
        """``since``: when the board was switched on, on the monotonic clock."""
        while True:
            try:
                self._shell.connection(deadline.at_most(_TRY_SECONDS).remaining() or 1)
                break
            except WrongKeyError:
                raise
            except LabError as error:
                if deadline.expired:
                    raise LabError(f"after {deadline.seconds:.0f} s: {error}") from None
                deadline.pause(1.0)
        return self._check_uptime(since)

    def _check_uptime(self, since: float) -> str:
        up = _read_number(self._shell.run(["cat", "/proc/uptime"]).split())
        ours = time.monotonic() - since
        if up > ours + 1:
            raise LabError(
                f"{self._where} is up for {up:.0f} s, and the board was switched on "
                f"{ours:.0f} s ago: it is another machine"
            )
        return f"{self._where} answers with the pinned key, {ours:.0f} s after power-on"

    def read_clock(self) -> str:
        """How far its clock is from ours."""
        before = time.time()
        theirs = _read_number(self._shell.run(["date", "-u", "+%s.%N"]).split())
        after = time.time()
        apart, unsure = theirs - (before + after) / 2, (after - before) / 2
        said = (
            f"{abs(apart):.1f} s {'before' if apart > 0 else 'behind'} ours, give or take "
            f"{unsure:.1f} s"
        )
        if abs(apart) > _MOST_APART + unsure:
            raise LabError(f"{said}: set it")
        return said

    def read_xen(self) -> str:
        """Its version, as `xl info` says it."""
        info = parse_xl_info(self._shell.run(["xl", "info"]))
        version = info.get("xen_version")
        if not version:
            raise LabError("`xl info` says no xen_version: it does not run on Xen")
        return f"Xen {version}, Linux {info.get('release', '?')}"

    def leave(self) -> None:
        """Before its power is cut: what it has written goes to its disk."""
        try:
            self._shell.attempt(["sync"], timeout=30)
        finally:
            self._shell.close()


def _read_number(words: list[str]) -> float:
    try:
        return float(words[0])
    except (IndexError, ValueError):
        raise LabError(
            f"it answered {' '.join(words)[:60]!r} where a number was asked for"
        ) from None
