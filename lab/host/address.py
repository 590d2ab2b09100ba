# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a host answers by ssh. Checked without touching the network, before anything starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab.config.board import BoardSsh
from lab.config.host import HostConfig
from lab.errors import UserError

_DEFAULT_IDENTITY = Path("~/.ssh/id_ed25519")


@dataclass(frozen=True)
class Address:
    """``host_key`` as in a .pub file: 'ssh-ed25519 AAAA...'."""

    host: str
    port: int
    user: str
    identity: Path
    host_key: str


def find_address(config: HostConfig) -> Address:
    """The real host of ``host:`` in lab.yaml.

    UserError when the private key for it is missing or cannot be used.
    """
    assert config.address is not None
    assert config.host_key is not None
    identity = (config.identity or _DEFAULT_IDENTITY).expanduser()
    check_identity(identity)
    return Address(config.address, config.port, config.user, identity, config.host_key)


def find_board_address(name: str, ssh: BoardSsh) -> Address:
    """The known-good system of a board; UserError as above."""
    identity = (ssh.identity or _DEFAULT_IDENTITY).expanduser()
    check_identity(identity, f"boards.{name}.ssh.identity")
    return Address(ssh.address, ssh.port, ssh.user, identity, ssh.host_key)


def check_identity(path: Path, key: str = "host.identity") -> None:
    """UserError unless ``path`` is a private key that this user can read."""
    if not path.is_file():
        raise UserError(
            f"{key}: there is no private key {path}; "
            "name the one that the host knows, or make one by `ssh-keygen -t ed25519`"
        )
    if not os.access(path, os.R_OK):
        raise UserError(f"{key}: {path} is not readable; `chmod u+r` it")
    with path.open("rb") as file:
        first = file.readline(200)
    if b"PRIVATE KEY" not in first:
        hint = f"; did you mean {path.with_suffix('')}?" if path.suffix == ".pub" else ""
        raise UserError(f"{key}: {path} is not a private key of OpenSSH's{hint}")
