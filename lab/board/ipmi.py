# SPDX-License-Identifier: GPL-2.0-or-later
"""Power by IPMI 2.0: the one owner of pyghmi.

pyghmi keeps threads and sockets for the whole process and has no deadline: this is only used
inside ``lab.board.switch``'s own process.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pyghmi.exceptions import PyghmiException

# Not pyghmi.ipmi.command: that one loads its makers' extensions, a third of a switching's time.
from pyghmi.ipmi.private.session import Session

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.config.board import IpmiPower

# Network function, and the commands Get Chassis Status and Chassis Control: IPMI 2.0, 28.2, 28.3.
_CHASSIS, _STATUS, _CONTROL = 0, 1, 2
_DOWN, _UP = 0, 1
_NOT_IN_THIS_STATE = 0xD5
_LEVELS = {"operator": 3, "administrator": 4}
# What pyghmi says when the BMC refuses user or password (RAKP 2 and 4), in part.
_REFUSED = ("incorrect password", "unauthorized", "invalid role", "rakp2", "rakp4")
_SILENT = ("timeout", "no longer connected", "failed to initialize", "disconnected")


class IpmiSwitch:
    """Logged in when made; LabError, a sentence, when the BMC is silent or refuses."""

    def __init__(self, config: IpmiPower, password: str) -> None:
        self._config = config
        self._where = f"{config.address} port {config.port}"
        try:
            self._bmc = Session(
                bmc=config.address, userid=config.user, password=password, port=config.port,
                privlevel=_LEVELS[config.privilege],
            )  # fmt: skip
        except (PyghmiException, OSError) as error:
            raise self._explain(error) from None

    def is_on(self) -> bool:
        """What the BMC says. It may be wrong: only a console shows that a machine lives."""
        answer = self._ask(_STATUS)
        if answer.get("code", 0) != 0:
            raise self._explain(answer.get("error", answer["code"]))
        return bool(answer["data"][0] & _UP)

    def turn(self, on: bool) -> None:
        """Chassis Control, also where the BMC says that it is so already: it may be wrong."""
        answer = self._ask(_CONTROL, _UP if on else _DOWN)
        if answer.get("code", 0) not in (0, _NOT_IN_THIS_STATE):
            raise self._explain(answer.get("error", answer["code"]))

    def _ask(self, command: int, *data: int) -> dict[str, Any]:
        try:
            return dict(self._bmc.raw_command(netfn=_CHASSIS, command=command, data=data))
        except (PyghmiException, OSError) as error:
            raise self._explain(error) from None

    def close(self) -> None:
        """Log out: a BMC has few sessions, and keeps a forgotten one for a minute."""
        with contextlib.suppress(PyghmiException, OSError):
            self._bmc.logout()

    def _explain(self, error: object) -> LabError:
        said = str(error).strip()
        if said in ("", "None"):  # so pyghmi's session ends when nothing comes back at all
            said = "timeout"
        if any(words in said.lower() for words in _REFUSED):
            return LabError(
                f"the BMC at {self._where} refuses user {self._config.user!r} as "
                f"{self._config.privilege} ({said}): check user, password and privilege"
            )
        if any(words in said.lower() for words in _SILENT):
            return LabError(f"the BMC at {self._where} does not answer IPMI ({said})")
        return LabError(f"the BMC at {self._where} says: {said}")
