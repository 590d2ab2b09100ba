# SPDX-License-Identifier: GPL-2.0-or-later
"""One attempt of one trial as it is sent to a worker, and what comes back. Pure.

What is sent are plain words, numbers and bytes, so that a worker with another version of the lab
can still read them and refuse.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from lab.console.watch import Ending

CONSOLE = "console.log"


@dataclass(frozen=True)
class Attempt:
    """``argv``: QEMU's command line, to be started in a folder that has ``files`` by name.

    ``files``: what is booted, by name: SHA-256. ``topic``: where its console is streamed to.
    ``version``: of the lab that sends it.
    """

    id: str
    topic: str
    argv: list[str]
    files: dict[str, str]
    seconds: float
    to_power_off: bool
    version: str

    def as_words(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """What a worker says at the end of an attempt.

    ``lacks``: files that it does not have, and ``refused``: why it boots nothing, in a sentence;
    with one of these nothing was booted.
    """

    ending: Ending | None = None
    console: bytes = b""
    log: bytes = b""  # QEMU's own messages
    lacks: tuple[str, ...] = ()
    refused: str = ""

    def as_words(self) -> dict[str, Any]:
        return {**asdict(self), "lacks": list(self.lacks)}

    @classmethod
    def read(cls, words: dict[str, Any]) -> Answer:
        ending = words["ending"]
        return cls(
            Ending(**ending) if ending else None,
            bytes(words["console"]),
            bytes(words["log"]),
            tuple(words["lacks"]),
            str(words["refused"]),
        )


@dataclass(frozen=True)
class Said:
    """What a worker says while it boots: that it has begun, or a piece of the console.

    ``by``: the worker's name. (Dask itself adds a field ``worker`` to what is said.)
    """

    attempt: str
    kind: Literal["begun", "console"]
    by: str
    offset: int = 0
    data: bytes = b""

    def as_words(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, words: dict[str, Any]) -> Said:
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in words.items() if name in known})
