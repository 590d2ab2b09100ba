# SPDX-License-Identifier: GPL-2.0-or-later
"""Places of a labgrid coordinator: who has one, acquiring and releasing it, its power.

Run as a program it answers one request, as ``lab.board.switch`` does: labgrid's session has threads
and an event loop of its own. {"action": "acquire", "power": {...}} is answered with
{"holder": ...}, the one who has the place then; "release" gives it back for whom "holder" names.

A place has no lease: a killed client holds it until somebody releases it in its name.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import grpc
from labgrid.binding import BindingError
from labgrid.factory import target_factory
from labgrid.remote.client import ClientSession, start_session
from labgrid.remote.generated.labgrid_coordinator_pb2 import (
    AcquirePlaceRequest,
    ReleasePlaceRequest,
)
from labgrid.target import Target

from lab.config.board import LabgridPower
from lab.errors import LabError, UserError

# labgrid's resources that have power, and the drivers for them.
_DRIVERS = {"NetworkPowerPort": "NetworkPowerDriver", "PDUDaemonPort": "PDUDaemonDriver"}


class Place:
    """Connected when made; LabError, a sentence, when the coordinator does not answer."""

    def __init__(self, config: LabgridPower) -> None:
        self._config = config
        self._where = f"the labgrid coordinator at {config.coordinator}"
        try:
            self._session: ClientSession = start_session(config.coordinator)
        except Exception as error:  # grpc's and labgrid's own
            raise LabError(f"{self._where} does not answer: {_say(error)}") from None
        if config.place not in self._session.places:
            there = ", ".join(sorted(self._session.places)) or "none"
            raise UserError(f"power.place: {self._where} has no place {config.place!r} ({there})")

    @property
    def holder(self) -> str:
        """Who has it, as HOST/USER; empty: nobody."""
        return str(self._session.places[self._config.place].acquired or "")

    def acquire(self) -> str:
        """Have it, unless somebody has: who has it then."""
        if not self.holder:
            self._call(self._session.stub.AcquirePlace, AcquirePlaceRequest(
                placename=self._config.place
            ))  # fmt: skip
        return self.holder

    def release(self, holder: str) -> None:
        """Give it back, if this one has it."""
        self._call(self._session.stub.ReleasePlace, ReleasePlaceRequest(
            placename=self._config.place, fromuser=holder
        ))  # fmt: skip

    def _call(self, method: Any, request: Any) -> None:
        async def call() -> None:
            await asyncio.wait_for(method(request), self._config.seconds)
            await self._session.sync_with_coordinator()

        try:
            self._session.loop.run_until_complete(call())
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            raise LabError(f"{self._where} refuses: {_say(error)}") from None

    def find_power(self) -> Any:
        """Labgrid's driver of what switches the place; LabError when it has no such resource."""
        place = self._session.places[self._config.place]
        for exporter, groups in self._session.resources.items():
            for group, entries in groups.items():
                for name, entry in entries.items():
                    if entry.cls in _DRIVERS and place.hasmatch((exporter, group, entry.cls, name)):
                        return _make_driver(entry)
        raise LabError(
            f"the labgrid place {self._config.place} offers no {' or '.join(_DRIVERS)}, or its "
            "exporter is not connected"
        )

    def close(self) -> None:
        self._session.loop.run_until_complete(self._session.stop())
        self._session.loop.run_until_complete(self._session.close())


def _make_driver(entry: Any) -> Any:
    target = Target("board")
    try:
        target_factory.make_resource(target, entry.cls, None, dict(entry.args))
        driver = target_factory.make_driver(target, _DRIVERS[entry.cls], None, {})
        target.activate(driver)
    except BindingError as error:
        raise LabError(f"labgrid cannot use its {entry.cls}: {_say(error)}") from None
    return driver


class LabgridSwitch:
    """Power of a place; reading it needs no acquisition, and the lab switches what it has."""

    def __init__(self, config: LabgridPower) -> None:
        self._place = Place(config)
        self._name = config.place
        self._driver = self._place.find_power()

    def is_on(self) -> bool:
        return bool(self._ask("get"))

    def turn(self, on: bool) -> None:
        self._ask("on" if on else "off")

    def close(self) -> None:
        self._place.close()

    def _ask(self, action: str) -> Any:
        try:
            return getattr(self._driver, action)()
        except Exception as error:  # each back end raises its own
            raise LabError(
                f"the labgrid place {self._name} cannot be switched or read: {_say(error)}"
            ) from None


def _say(error: Exception) -> str:
    details = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
    return " ".join((details or type(error).__name__).split())[:200]


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What to print for a request."""
    config = LabgridPower.model_validate(request["power"])
    try:
        place = Place(config)
        try:
            if request["action"] == "release":
                place.release(request["holder"])
            elif request["action"] == "acquire":
                place.acquire()
            return {"holder": place.holder}
        finally:
            place.close()
    except LabError as error:
        return {"error": str(error)}
    except UserError as error:
        return {"bad_input": str(error)}


if __name__ == "__main__":
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
