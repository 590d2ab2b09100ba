# SPDX-License-Identifier: GPL-2.0-or-later
"""`hosts:` of lab.yaml: more places where cells run, by name."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from lab.config.host import HostConfig
from lab.config.kinds import GuestKind, HostKind

# What runs where. A real Xen host is somebody's: the lab does not boot its own kernels there.
RUNS: dict[HostKind, tuple[GuestKind, ...]] = {
    "nested": ("native", "dom0", "pv", "pvh", "hvm"),
    "real": ("pv", "pvh", "hvm"),
}
_OF_BOARDS = {"board", "boot_seconds"}


class NamedHostConfig(HostConfig):
    """A host by name: a board, or a Xen host as under `host:`."""

    board: str | None = Field(
        None, description="A name from boards: native and dom0 cells are booted on it."
    )
    boot_seconds: int = Field(
        480,
        ge=10,
        le=3600,
        description="board: from power-on to the program's first record, at most; "
        "a server's firmware takes minutes.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> NamedHostConfig:
        given = self.model_fields_set - ({"board"} if self.board is None else set())
        if self.board is None and "kind" not in given:
            raise ValueError("should say 'board: NAME', 'kind: nested' or 'kind: real'")
        if self.board is not None and given - _OF_BOARDS:
            raise ValueError(
                f"a board is as 'boards:' says, so that {min(given - _OF_BOARDS)!r} does not go "
                "with 'board'"
            )
        if self.board is None and "boot_seconds" in given:
            raise ValueError("'boot_seconds' goes with 'board' only")
        return self

    @model_serializer(mode="wrap")
    def _only_what_counts(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that what is written can be read again, by the rules above."""
        whole: dict[str, Any] = dump(self)
        ours = self.board is not None
        return {key: value for key, value in whole.items() if (key in _OF_BOARDS) == ours}

    def is_plain_nested(self) -> bool:
        """Whether it says nothing but `kind: nested`."""
        return self.model_dump() == HostConfig().model_dump()
