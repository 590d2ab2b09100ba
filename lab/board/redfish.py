# SPDX-License-Identifier: GPL-2.0-or-later
"""Power by Redfish: the one owner of sushy. Used inside ``lab.board.switch``'s own process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
import sushy

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.config.board import RedfishPower

_CONNECT_SECONDS = 10


class RedfishSwitch:
    """Logged in when made; LabError, a sentence, when the BMC is silent or refuses."""

    def __init__(self, config: RedfishPower, password: str) -> None:
        self._config = config
        try:
            root = sushy.Sushy(
                config.url, auth=sushy.auth.BasicAuth(config.user, password),
                verify=str(config.ca_file) if config.ca_file else True,
                server_side_retries=1, server_side_retries_delay=1,
                read_timeout=config.seconds, connect_timeout=_CONNECT_SECONDS,
            )  # fmt: skip
            self._system = self._find(root)
        except (sushy.exceptions.SushyError, requests.RequestException, OSError) as error:
            raise self._explain(error) from None

    def _find(self, root: Any) -> Any:
        if self._config.system is not None:
            return root.get_system(self._config.system)
        systems = root.get_system_collection().members_identities
        if len(systems) != 1:
            raise LabError(
                f"{self._config.url} has {len(systems)} systems: name one by power.system, "
                f"{' or '.join(systems[:4])}"
            )
        return root.get_system(systems[0])

    def close(self) -> None:
        """Nothing is left open."""

    def is_on(self) -> bool:
        """What the BMC says; a system that is on its way is on."""
        try:
            self._system.refresh(force=True)
        except (sushy.exceptions.SushyError, requests.RequestException, OSError) as error:
            raise self._explain(error) from None
        return bool(self._system.power_state != sushy.POWER_STATE_OFF)

    def turn(self, on: bool) -> None:
        """On, or off at once."""
        wanted = sushy.RESET_TYPE_ON if on else sushy.RESET_TYPE_FORCE_OFF
        try:
            self._system.reset_system(wanted)
        except (sushy.exceptions.SushyError, requests.RequestException, OSError) as error:
            if self.is_on() != on:  # several answer an error where it is so already
                raise self._explain(error) from None

    def _explain(self, error: Exception) -> LabError:
        url = self._config.url
        if isinstance(error, sushy.exceptions.AccessError):
            return LabError(
                f"the BMC at {url} refuses user {self._config.user!r}: check user and password"
            )
        if isinstance(error, sushy.exceptions.ResourceNotFoundError):
            return LabError(f"{url} has no system {self._config.system or 'at all'}")
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return LabError(
                f"the certificate of the BMC at {url} is not known: give it by power.ca_file"
            )
        if isinstance(error, sushy.exceptions.ConnectionError | requests.RequestException):
            return LabError(f"the BMC at {url} does not answer Redfish")
        return LabError(f"the BMC at {url} says: {' '.join(str(error).split())[:200]}")
