# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab host start|stop|status`: the nested Xen host without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.exitcodes import Exit
from lab.report.terminal import Terminal
from lab.supplies.gather import gather_host
from lab.system.deadline import Deadline
from lab.trial.xenhost import ROW, nested_host

if TYPE_CHECKING:
    from lab.host.nested import NestedHost


def start(config: LabConfig) -> None:
    """`lab host start`: boot the nested host, or find it running, and leave it."""
    from lab.host.nested import READY_SECONDS

    terminal = Terminal()
    host = _nested(config, terminal)
    with terminal.progress():
        deadline = Deadline(READY_SECONDS[host.plan.accelerator])
        host.start(deadline, lambda state: terminal.board.state(ROW, state))
    assert host.shell is not None
    host.keep()
    address = host.shell.address
    terminal.say("the Xen host is ready; `lab run` will use it, `lab host stop` ends it")
    terminal.say(f"ssh -i {address.identity} -p {address.port} {address.user}@{address.host}")
    host.release()


def stop(config: LabConfig) -> None:
    """`lab host stop`."""
    terminal = Terminal()
    _nested(config, terminal).stop()
    terminal.say("no Xen host is running now")


def status(config: LabConfig) -> int:
    """`lab host status`: 0 when it runs, 4 when it does not."""
    terminal = Terminal()
    host = _nested(config, terminal)
    running = host.running()
    terminal.say("the Xen host is running" if running else "no Xen host is running")
    host.release()
    return Exit.OK if running else Exit.LAB_ERROR


def _nested(config: LabConfig, terminal: Terminal) -> NestedHost:
    if config.host.kind != "nested":
        raise UserError("lab.yaml: host.kind is real: the lab does not start or stop that host")
    return nested_host(config, gather_host(config, terminal.board.state))
