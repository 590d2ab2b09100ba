# SPDX-License-Identifier: GPL-2.0-or-later
"""The proof that a nested host is ready: dom0 answers over ssh and is the one that we started."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from lab.console import text as consoletext
from lab.errors import LabError
from lab.host.shell import Shell, answers
from lab.host.state import HostState
from lab.system.deadline import Deadline

NONCE = "/run/lab-nonce"  # in dom0's memory: gone when dom0 is another one
_POLL = 0.1


@dataclass(frozen=True)
class Waiting:
    """How to wait for a start: its deadline, where progress is reported, whether to give up."""

    deadline: Deadline
    report: Callable[[str], None]
    stopped: Callable[[], bool]

    def at_most(self, seconds: float) -> Waiting:
        """The same for a step that gets ``seconds``, but never more than is left."""
        return replace(self, deadline=self.deadline.at_most(seconds))


@dataclass(frozen=True)
class Watched:
    """A host that is coming up: how to reach it, and the signs that it never will."""

    shell: Shell
    console: Path
    alive: Callable[[], bool]

    def await_ready(
        self, prove: Callable[[], object], waiting: Waiting, listens: bool = False
    ) -> None:
        """Until ``prove`` raises no LabError; LabError at once when the console shows a panic.

        ``listens``: the ssh server is known to be up, so it need not be probed first.
        """
        last = "ssh does not answer"
        while True:
            self._check_signs(waiting)
            if listens or answers(self.shell.address.port):
                try:
                    prove()
                    return
                except LabError as error:
                    last, listens = str(error), False
            if waiting.deadline.expired:
                raise LabError(
                    f"the Xen host was not ready after {waiting.deadline.seconds:.0f} s: {last}; "
                    f"console {self.console} ends: {consoletext.tail(self.console.read_bytes(), 1)}"
                )
            time.sleep(min(_POLL, waiting.deadline.remaining()))

    def _check_signs(self, waiting: Waiting) -> None:
        died = consoletext.end_of_host(self.console.read_bytes())
        if died:
            raise LabError(f"the Xen host panicked: {died} (console: {self.console})")
        if waiting.stopped():
            raise LabError("interrupted while the Xen host was booting")
        if not self.alive():
            raise LabError(f"the Xen host stopped while booting (console: {self.console})")


def check(shell: Shell | None, state: HostState | None) -> dict[str, str]:
    """`xl info` of the host; LabError unless it is the Xen, and the dom0, of ``state``."""
    return _prove(shell, state, "")


def renew(shell: Shell | None, state: HostState) -> HostState:
    """Give dom0 the time, its own entropy, and a word that only this start's dom0 knows.

    The same proof as ``check``. Returns the state with that word.
    """
    fresh = secrets.token_hex(16)
    renewed = replace(state, fresh=fresh)
    before = (
        f"date -u -s @{time.time():.3f} >/dev/null && echo {fresh} >/dev/urandom "
        f"&& echo {fresh} >{NONCE} && "
    )
    _prove(shell, renewed, before)
    return renewed


def _prove(shell: Shell | None, state: HostState | None, before: str) -> dict[str, str]:
    """One command does it all: each costs a few tenths of a second under emulation."""
    if shell is None:
        raise LabError("the Xen host is not started")
    said = shell.run(["sh", "-c", f"{before}cat {NONCE} && xl info"], timeout=30)
    info = parse_xl_info(said)
    ours = state is not None and f"lab={state.nonce}" in info.get("xen_commandline", "").split()
    fresh = state is not None and state.fresh and said.startswith(f"{state.fresh}\n")
    if not ours or not fresh:
        raise LabError(f"the host at {shell.address.port} is not the Xen that we started")
    return info


def parse_xl_info(said: str) -> dict[str, str]:
    """What `xl info` printed, as a mapping."""
    pairs = (line.split(":", 1) for line in said.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
