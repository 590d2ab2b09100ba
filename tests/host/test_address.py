# SPDX-License-Identifier: GPL-2.0-or-later
"""A real host's address: what it needs is there before anything starts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.config.host import HostConfig
from lab.errors import UserError
from lab.host.address import Address, find_address
from tests.helpers.hostkeys import ED25519

KEY = f"ssh-ed25519 {ED25519}"


def config(identity: Path | None, host_key: str = KEY) -> HostConfig:
    return HostConfig(kind="real", address="rack1", host_key=host_key, identity=identity)


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    path = tmp_path / "id_ed25519"
    path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    path.with_suffix(".pub").write_text(f"{KEY}\n")
    return path


def test_an_address_with_all_that_it_needs(identity: Path) -> None:
    assert find_address(config(identity)) == Address("rack1", 22, "root", identity, KEY)


def test_the_users_own_key_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"there is no private key .*/\.ssh/id_ed25519"):
        find_address(config(None))


def test_a_public_key_is_not_a_private_one(identity: Path) -> None:
    with pytest.raises(UserError, match=f"did you mean {identity}"):
        find_address(config(identity.with_suffix(".pub")))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_an_unreadable_key_is_refused(identity: Path) -> None:
    identity.chmod(0)
    with pytest.raises(UserError, match="not readable"):
        find_address(config(identity))
