# SPDX-License-Identifier: GPL-2.0-or-later
"""Power by an outlet of a PDU: the one owner of labgrid, which knows the models.

Used inside ``lab.board.switch``'s own process: most back ends wait without a limit.
"""

from __future__ import annotations

import subprocess
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from labgrid import Target
from labgrid.driver import NetworkPowerDriver
from labgrid.resource import NetworkPowerPort

from lab.errors import LabError, UserError

if TYPE_CHECKING:
    from lab.config.board import PduPower


class PduSwitch:
    """Made without touching the network; UserError for a model that labgrid does not have."""

    def __init__(self, config: PduPower, password: str | None) -> None:
        self._config = config
        try:
            import_module(f"labgrid.driver.power.{config.model}")
        except ModuleNotFoundError as error:
            raise UserError(
                f"power.model: labgrid cannot load {config.model!r} ({error}); "
                "its NetworkPowerPort lists the models"
            ) from None
        target = Target("board")
        NetworkPowerPort(
            target, name=None, model=config.model, host=_with_login(config, password),
            index=str(config.index),
        )  # fmt: skip
        self._driver: Any = NetworkPowerDriver(target, name=None)
        target.activate(self._driver)

    def is_on(self) -> bool:
        """What the PDU says of its outlet."""
        return bool(self._ask("get"))

    def turn(self, on: bool) -> None:
        """Switch the outlet."""
        self._ask("on" if on else "off")

    def close(self) -> None:
        """Nothing is left open."""

    def _ask(self, action: str) -> Any:
        try:
            return getattr(self._driver, action)()
        except subprocess.CalledProcessError as error:
            said = (error.output or b"").decode(errors="replace").strip()
            raise self._explain(f"{error.cmd[0]}: {said or error.returncode}") from None
        except Exception as error:  # each back end raises its own
            raise self._explain(str(error) or type(error).__name__) from None

    def _explain(self, said: str) -> LabError:
        where = f"outlet {self._config.index} of the {self._config.model} at {self._config.host}"
        return LabError(f"{where} cannot be switched or read: {' '.join(said.split())[:200]}")


def _with_login(config: PduPower, password: str | None) -> str:
    if password is None:
        return config.host
    parts = urlsplit(config.host)
    login = f"{quote(config.user or '', safe='')}:{quote(password, safe='')}"
    return parts._replace(netloc=f"{login}@{parts.netloc}").geturl()
