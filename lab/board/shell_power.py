# SPDX-License-Identifier: GPL-2.0-or-later
"""Power by programs of the user's: relays, smart plugs, whatever has a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.system.process import run

if TYPE_CHECKING:
    from lab.config.board import CommandPower


class ShellSwitch:
    """Runs them; LabError with the first error line when one fails."""

    def __init__(self, config: CommandPower) -> None:
        self._config = config

    def is_on(self) -> bool:
        """What ``status`` prints: 'on' or 'off' as its last word."""
        said = run(self._config.status, timeout=self._config.seconds)
        word = (said.split() or [""])[-1].lower()
        if word not in ("on", "off"):
            raise LabError(
                f"power.status ({self._config.status[0]}) should print on or off, "
                f"it printed {said.strip()[-60:]!r}"
            )
        return word == "on"

    def turn(self, on: bool) -> None:
        """Run ``on`` or ``off``."""
        run(self._config.on if on else self._config.off, timeout=self._config.seconds)

    def close(self) -> None:
        """Nothing is left open."""
