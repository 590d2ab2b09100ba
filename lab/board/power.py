# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's power: on, off, cycle, is it on. Each call has a deadline, and its own process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lab.board.child import ask
from lab.board.switch import Action
from lab.config.board import CommandPower, PduPower
from lab.config.board import Power as PowerConfig
from lab.config.password import read_password
from lab.config.secret import Login
from lab.errors import LabError, UserError

# For logging in and importing, beyond the configured seconds. Seen on two cores with a load of 25:
# up to 16 s for importing, 5 s for logging in, and one switching in fifteen took more than 35.
_GRACE_SECONDS = 60.0
_PAUSE_SECONDS = 1.0  # between off and on
_MAINS_PAUSE_SECONDS = 5.0  # ... where the mains are cut: a power supply's capacitors


class Power:
    """Made without side effects. Every method raises LabError, a sentence that names the board.

    ``note`` hears, before a board is switched on, that it may be on from now, and after it was
    switched off that it is not.
    """

    def __init__(
        self, name: str, config: PowerConfig, note: Callable[[bool], None] = lambda _on: None
    ) -> None:
        self._name = name
        self._config = config
        self._note = note

    def on(self) -> None:
        """Switch it on; done when its power control says so."""
        self._note(True)
        self._ask("on")

    def off(self) -> None:
        """Switch it off at once; done when its power control says so."""
        self._ask("off")
        self._note(False)

    def cycle(self) -> None:
        """Off, and on after a pause."""
        self.off()
        mains = isinstance(self._config, PduPower | CommandPower)
        time.sleep(_MAINS_PAUSE_SECONDS if mains else _PAUSE_SECONDS)
        self.on()

    def is_on(self) -> bool:
        """What its power control says."""
        return self._ask("is_on")

    def _ask(self, action: Action) -> bool:
        where = f"boards.{self._name}.power"
        password = read_password(self._config, where) if isinstance(self._config, Login) else None
        request = {
            "power": self._config.model_dump(mode="json"), "password": password,
            "action": action, "seconds": self._config.seconds,
        }  # fmt: skip
        answer = self._run(request)
        if "bad_input" in answer:
            raise UserError(f"boards.{self._name}.{_hide(answer['bad_input'], password)}")
        if "error" in answer:
            raise LabError(f"{self._name}: {_hide(answer['error'], password)}")
        return bool(answer["on"])

    def _run(self, request: dict[str, Any]) -> dict[str, Any]:
        return ask(
            "lab.board.switch", request, self._config.seconds + _GRACE_SECONDS,
            f"{self._name}: its power control ({self._config.kind})",
            lambda said: _hide(said, request["password"]),
        )  # fmt: skip


def _hide(text: str, password: str | None) -> str:
    return text.replace(password, "***") if password else text
