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
_OF_BOARDS = {"board", "tag", "boot_seconds"}


class NamedHostConfig(HostConfig):
    """A host by name: a board, or a Xen host as under `host:`."""

    board: str | list[str] | None = Field(
        None,
        description="A name from boards, or several: a cell goes to whichever is free.",
    )
    tag: str | None = Field(None, description="Instead of board: all boards with this tag.")
    boot_seconds: int = Field(
        480,
        ge=10,
        le=3600,
        description="board: from power-on to the program's first record, at most; "
        "a server's firmware takes minutes.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> NamedHostConfig:
        given = {key for key in self.model_fields_set if getattr(self, key) is not None}
        if not self.of_boards and "kind" not in given:
            raise ValueError("should say 'board: NAME', 'kind: nested' or 'kind: real'")
        if self.of_boards and given - _OF_BOARDS:
            raise ValueError(
                f"a board is as 'boards:' says, so that {min(given - _OF_BOARDS)!r} does not go "
                f"with {'tag' if self.board is None else 'board'!r}"
            )
        if self.board is not None and self.tag is not None:
            raise ValueError("has both 'board' and 'tag': name one of them")
        if isinstance(self.board, list) and len(set(self.board)) != len(self.board):
            raise ValueError("'board' names a board twice")
        if self.board == []:
            raise ValueError("'board' should name at least one board")
        if not self.of_boards and "boot_seconds" in given:
            raise ValueError("'boot_seconds' goes with 'board' only")
        return self

    @property
    def of_boards(self) -> bool:
        """Whether it is a board or several."""
        return self.board is not None or self.tag is not None

    @model_serializer(mode="wrap")
    def _only_what_counts(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that what is written can be read again, by the rules above."""
        whole: dict[str, Any] = dump(self)
        ours = self.of_boards
        return {key: value for key, value in whole.items() if (key in _OF_BOARDS) == ours}

    def is_plain_nested(self) -> bool:
        """Whether it says nothing but `kind: nested`."""
        return self.model_dump() == HostConfig().model_dump()
