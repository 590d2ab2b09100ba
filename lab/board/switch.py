# SPDX-License-Identifier: GPL-2.0-or-later
"""A process of its own for one switching: `python -m lab.board.switch`.

Libraries that speak to BMCs and PDUs keep threads, have no deadlines or wait for ever; a process
can be ended. What is asked comes as JSON on standard input, the password with it, so that neither
stands on a command line; the answer is one JSON object: {"on": true}, {"error": "..."} or
{"bad_input": "..."}.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from lab.errors import LabError, UserError
from lab.system.deadline import Deadline

if TYPE_CHECKING:
    from lab.config.board import Power as PowerConfig

Action = Literal["on", "off", "is_on"]
_AGAIN_SECONDS = 10.0  # BMCs drop an "on" that comes while they still switch off
_POLL_SECONDS = 0.3


class Switch(Protocol):
    """What each kind of power can do. Every method may raise LabError, a sentence."""

    def is_on(self) -> bool: ...

    def turn(self, on: bool) -> None: ...

    def close(self) -> None: ...


def make_switch(config: PowerConfig, password: str | None) -> Switch:
    """The switch for a kind of power; its library is imported here and nowhere before."""
    if config.kind == "ipmi":
        from lab.board.ipmi import IpmiSwitch

        return IpmiSwitch(config, password or "")
    if config.kind == "redfish":
        from lab.board.redfish import RedfishSwitch

        return RedfishSwitch(config, password or "")
    if config.kind == "pdu":
        from lab.board.pdu import PduSwitch

        return PduSwitch(config, password)
    if config.kind == "labgrid":
        from lab.board.coordinator import LabgridSwitch

        return LabgridSwitch(config)
    from lab.board.shell_power import ShellSwitch

    return ShellSwitch(config)


def act(switch: Switch, action: Action, deadline: Deadline) -> bool:
    """Do it, and wait until the switch itself says that it is done. Whether it is on then."""
    if action == "is_on":
        return switch.is_on()
    on = action == "on"
    while not deadline.expired:
        switch.turn(on)
        if _reaches(switch, on, deadline.at_most(_AGAIN_SECONDS)):
            return on
    other = "off" if on else "on"
    raise LabError(
        f"it was switched {action}, and after {deadline.seconds:.0f} s "
        f"its power control still says that it is {other}"
    )


def _reaches(switch: Switch, on: bool, deadline: Deadline) -> bool:
    while switch.is_on() != on:
        if deadline.expired:
            return False
        deadline.pause(_POLL_SECONDS)
    return True


def answer(request: dict[str, Any], make: Callable[..., Switch] = make_switch) -> dict[str, Any]:
    """What to print for a request."""
    # As lab.config has checked it, but without its models: they take longer to import than most
    # switchings last.
    config = cast("PowerConfig", SimpleNamespace(**request["power"]))
    deadline = Deadline(request["seconds"])
    try:
        with contextlib.closing(make(config, request["password"])) as switch:
            return {"on": act(switch, request["action"], deadline)}
    except LabError as error:
        return {"error": str(error)}
    except UserError as error:
        return {"bad_input": str(error)}


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
