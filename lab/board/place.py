# SPDX-License-Identifier: GPL-2.0-or-later
"""A place of a labgrid coordinator, had while a block runs: no other machine's lab has it then.

Its holder is HOST/xen-fpu-lab-PID-STARTED. A coordinator knows no lease, so a killed lab holds its
place for ever; the name says which process that was, and the next lab on that host frees it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Iterator
from typing import Any

from lab.board.child import ask
from lab.board.lock import HeldError, Holder, lives
from lab.config.board import LabgridPower
from lab.console.text import clean
from lab.errors import LabError, UserError

_GRACE_SECONDS = 15.0
_USER = re.compile(r"xen-fpu-lab-(\d{1,10})-(\d{1,20})")


@contextlib.contextmanager
def hold_place(name: str, config: LabgridPower, me: Holder) -> Iterator[None]:
    """HeldError, naming the holder, when a living one has it; LabError when it cannot be had."""
    user = f"xen-fpu-lab-{me.pid}-{me.started}"
    mine = f"{_host()}/{user}"
    holder = _ask(name, config, user, "acquire")
    if holder != mine and is_dead(holder):
        _ask(name, config, user, "release", holder)
        holder = _ask(name, config, user, "acquire")
    if holder != mine:
        raise HeldError(f"{name}: the labgrid place {config.place} is held by {holder}")
    try:
        yield
    finally:
        _ask(name, config, user, "release", mine)


def is_dead(holder: str) -> bool:
    """Whether it was a lab on this machine whose process has ended; of others nothing is known."""
    host, _, user = holder.rpartition("/")
    found = _USER.fullmatch(user)
    if found is None or host != _host():
        return False
    return not lives(int(found[1]), int(found[2]))


def _host() -> str:
    """As labgrid's own client has it."""
    return os.environ.get("LG_HOSTNAME", socket.gethostname())


def _ask(name: str, config: LabgridPower, user: str, action: str, holder: str = "") -> str:
    request: dict[str, Any] = {
        "action": action, "holder": holder, "power": config.model_dump(mode="json"),
    }  # fmt: skip
    answer = ask(
        "lab.board.coordinator", request, config.seconds + _GRACE_SECONDS,
        f"{name}: its labgrid coordinator ({config.coordinator})", env={"LG_USERNAME": user},
    )  # fmt: skip
    if "bad_input" in answer:
        raise UserError(f"boards.{name}.{answer['bad_input']}")
    if "error" in answer:
        raise LabError(f"{name}: {answer['error']}")
    return clean(str(answer["holder"]).encode())
