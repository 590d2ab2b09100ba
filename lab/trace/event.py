# SPDX-License-Identifier: GPL-2.0-or-later
"""One moment of a traced boot, and the values that name their owners."""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass, field
from typing import Any

# repro/pattern.h: role, id, serial, register and the low half of a CRC-32.
_ROLES = {ord("V"): "victim", ord("O"): "opener", ord("I"): "injected"}
_REGISTER_TAG = 0xE0


@dataclass(frozen=True)
class Owner:
    """Whose value it is: a role's ``id`` and the serial number of its load."""

    role: str
    id: int
    serial: int

    def __str__(self) -> str:
        return f"{self.role}/{self.id}/{self.serial}"


def owner(value: int) -> Owner | None:
    """Who loaded this value (64 bits) into an MMX register; None when it is nobody's pattern."""
    raw = value.to_bytes(8, "big")
    if raw[0] not in _ROLES or not _REGISTER_TAG <= raw[5] < _REGISTER_TAG + 8:
        return None
    if zlib.crc32(raw[:6]) & 0xFFFF != int.from_bytes(raw[6:], "big"):
        return None
    return Owner(_ROLES[raw[0]], raw[1], int.from_bytes(raw[2:5], "big"))


@dataclass
class Event:
    """``kind`` is one of

    ``load`` (about to load its pattern), ``loaded``, ``nm`` (the kernel's #NM handler begins),
    ``allocate`` (in it), ``switch`` (the processor goes from ``task`` to ``next``), ``set`` and
    ``clear`` (a PV kernel writes CR0.TS), ``check`` (``mm`` is what the task reads), ``failed``.
    """

    kind: str
    ns: int  # virtual time since the trace began
    task: int  # the running task's task_struct
    ts: int  # the processor's CR0.TS
    believed: int | None  # as the kernel wrote it last; None: not known yet
    mm: list[int]  # mm0..mm7 as the processor holds them
    detail: str = ""  # allocate: the function
    wants: int = 0  # load: the value for mm0
    next: int = 0  # switch: the task that runs on
    pid: int | None = None
    next_pid: int | None = None
    comm: str = ""
    next_comm: str = ""
    at: int = 0  # instructions executed since power-on
    owner_task: int | None = None  # whose registers the kernel thinks are loaded, at nm and switch


@dataclass
class Trace:
    """The events of one boot, in their order, and what is needed to read them."""

    title: str
    pv: bool
    kernel: str
    names: dict[str, str]
    identical: bool | None  # the recorded console is the expected one; None: nothing is expected
    events: list[Event] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Trace:
        """From ``as_json``'s content."""
        return cls(**{**body, "events": [Event(**event) for event in body["events"]]})
