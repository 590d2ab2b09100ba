# SPDX-License-Identifier: GPL-2.0-or-later
"""`cluster:` of lab.yaml: other machines on which cells run."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator

from lab.config.model import Model

_ADDRESS = re.compile(r"(tls|tcp)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_LOOPBACK = ("127.0.0.1", "[::1]", "localhost")


def check_address(value: str) -> str:
    """The address as it is; ValueError for what is not one, or not encrypted where it must be."""
    found = _ADDRESS.fullmatch(value)
    if not found or not 0 < int(found[3]) < 65536:
        raise ValueError(f"{value!r} is not an address: it should read tls://HOST:PORT")
    if found[1] == "tcp" and not is_loopback(value):
        raise ValueError(
            f"{value!r} is neither encrypted nor on this machine: whoever reaches it could run "
            "anything on every worker; use tls:// and the keys of `lab cluster keys`"
        )
    return value


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    return address.partition("://")[2].rpartition(":")[0] in _LOOPBACK


class ClusterConfig(Model):
    """Other machines that boot native and dom0 cells (docs/cluster.md)."""

    address: str | None = Field(
        None, description="Of the scheduler, tls://HOST:PORT; null: this machine alone."
    )
    keys: Path | None = Field(
        None,
        description="The folder of `lab cluster keys`, relative to this file: ca.pem, client.pem "
        "and client.key are read.",
    )

    @field_validator("address")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else check_address(value)
