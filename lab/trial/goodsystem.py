# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's known-good system: brought up where it is not, and reached by ssh."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lab.config.board import BoardConfig
from lab.errors import LabError
from lab.host.address import find_board_address
from lab.host.ready import parse_xl_info
from lab.system.deadline import Deadline
from lab.trial.board import Machine

if TYPE_CHECKING:
    from lab.host.shell import Shell

_POLL = 0.5
_GLANCE = 2.0  # seconds for the greeting of a machine that is up
_PATIENCE = 15.0  # ... before its power is cut: a busy machine greets late
_UNDER_TEST = re.compile(r"\blab=([0-9a-f]+)")


class GoodSystem:
    """``machine`` is had already; ``seconds``: how long its boot may take.

    ``console``: a file that gets what the serial port says while it boots.
    """

    def __init__(
        self,
        machine: Machine,
        name: str,
        config: BoardConfig,
        seconds: float,
        console: Path,
        stop: threading.Event,
    ) -> None:
        from lab.host.shell import Shell

        self._machine = machine
        self.name = name
        self._seconds = seconds
        self._console = console
        self._stop = stop
        assert config.ssh is not None
        ssh = config.ssh
        self.shell: Shell = Shell(find_board_address(name, ssh))

    def bring_up(self, report: Callable[[str], None]) -> None:
        """Until it answers by ssh; it is switched on, or off and on, where it does not.

        LabError, a sentence, when it does not come.
        """
        if self.runs(""):
            return
        report("booting its known-good system")
        self.shell.close()
        self._console.parent.mkdir(parents=True, exist_ok=True)
        with self._machine.console.follow(self._console):
            self._machine.power.off()
            self._machine.power.on()
            self.wait()

    def wait(self) -> None:
        """Until it answers a command by ssh."""
        from lab.host.shell import WrongKeyError

        deadline = Deadline(self._seconds)
        last = "its ssh does not answer"
        while True:
            if self._stop.is_set():
                raise LabError("interrupted")
            if self.greets():
                try:
                    self.shell.run(["true"])
                    return
                except WrongKeyError:
                    raise
                except LabError as error:
                    last = str(error)
            if deadline.expired:
                raise LabError(
                    f"{self.name}: its known-good system was not up after "
                    f"{deadline.seconds:.0f} s: {last} (console: {self._console})"
                )
            deadline.pause(_POLL)

    def greets(self, seconds: float = _GLANCE) -> bool:
        """Whether an ssh server greets there."""
        from lab.host.shell import greets

        return greets(self.shell.address.host, self.shell.address.port, seconds)

    def runs(self, nonce: str) -> bool:
        """Whether the known-good system runs, on its own Xen or on the one that has the nonce."""
        if not self.greets(_PATIENCE):
            return False
        for _ in range(2):  # the connection may be to an earlier boot: then a new one
            try:
                return self._find_nonce() == nonce
            except LabError:
                self.shell.close()
        return False

    def _find_nonce(self) -> str:
        """Of the Xen under test that runs; empty: the board's own, or without Xen."""
        if self.shell.attempt(["test", "-e", "/proc/xen/privcmd"])[0] != 0:
            return ""
        found = _UNDER_TEST.search(self.xen_info().get("xen_commandline", ""))
        return found.group(1) if found else ""

    def xen_info(self) -> dict[str, str]:
        """`xl info`; LabError where it does not run under Xen."""
        return parse_xl_info(self.shell.run(["xl", "info"]))

    def leave(self) -> None:
        """Before its power is cut: what it has written goes to its disk, where it is up."""
        with contextlib.suppress(LabError):
            if self.runs(""):
                self.shell.attempt(["sync"], timeout=30)
        self.shell.close()


class ComesBack:
    """Says when the board's own system answers again after it was seen gone."""

    _EVERY = 3.0

    def __init__(self, system: GoodSystem) -> None:
        self._system = system
        self._gone = False
        self._next = 0.0
        self.since: float | None = None  # on the monotonic clock

    def look(self) -> float | None:
        """When it came back; None while it has not. It is asked every few seconds."""
        now = time.monotonic()
        if self.since is None and now >= self._next:
            greets = self._system.greets()
            self._gone = self._gone or not greets
            if self._gone and greets:
                self.since = time.monotonic()
            self._next = time.monotonic() + self._EVERY
        return self.since
