# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster's keys, its addresses, and what is refused before anything listens."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lab.cluster import grid
from lab.cluster.command import check_listen, name_machine
from lab.cluster.keys import ROLES, find_keys, make_keys
from lab.config.cluster import check_address
from lab.config.load import parse
from lab.errors import UserError
from tests.helpers.lab import environment


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


def test_keys_are_their_owners_alone_and_signed_by_the_authority(keys: Path) -> None:
    for path in keys.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    for role in ROLES:
        done = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-CAfile", keys / "ca.pem", keys / f"{role}.pem"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_keys_are_not_replaced(keys: Path) -> None:
    with pytest.raises(UserError, match="has keys already"):
        make_keys(keys)


def test_a_key_that_others_may_read_is_refused(keys: Path) -> None:
    (keys / "client.key").chmod(0o640)
    with pytest.raises(UserError, match="others may read it"):
        find_keys(keys, "client")


def test_a_missing_key_is_named(keys: Path) -> None:
    (keys / "worker.pem").unlink()
    with pytest.raises(UserError, match=r"worker\.pem: is missing"):
        find_keys(keys, "worker")


@pytest.mark.parametrize(
    "address", ["tls://lab.example:8786", "tcp://127.0.0.1:1", "tcp://[::1]:1", "tls://[fd::1]:9"]
)
def test_an_address_is_taken(address: str) -> None:
    assert check_address(address) == address


@pytest.mark.parametrize(
    "address",
    ["tcp://0.0.0.0:8786", "tcp://lab.example:8786", "tcp://10.0.0.1:1", "tcp://127.0.0.1.x.org:1"],
)
def test_what_is_not_encrypted_stays_on_this_machine(address: str) -> None:
    with pytest.raises(ValueError, match="neither encrypted nor on this machine"):
        check_address(address)
    with pytest.raises(UserError, match="neither encrypted nor on this machine"):
        check_listen(address)


@pytest.mark.parametrize(
    "address", ["lab.example", "tls://x", "tls://x:0", "http://x:1", "tls://x:y"]
)
def test_what_is_not_an_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="tls://HOST:PORT"):
        check_address(address)


def test_tls_needs_keys() -> None:
    with pytest.raises(UserError, match="needs keys"):
        grid.make_security("tls://127.0.0.1:1", None, "client")


def test_a_machine_has_a_name_that_fits_an_id() -> None:
    assert name_machine("box-1") == "box-1"
    with pytest.raises(UserError, match="should be letters"):
        name_machine("box@1")
    assert name_machine(None)


def test_keys_are_relative_to_the_file_and_the_address_is_checked(tmp_path: Path) -> None:
    text = "kernels: {old: {image: a}}\ncluster: {address: 'tls://a:1', keys: keys}\n"
    assert parse(text, tmp_path / "lab.yaml").cluster.keys == tmp_path / "keys"
    with pytest.raises(UserError, match=r"cluster\.address: 'tcp://a:1' is neither"):
        parse(text.replace("tls", "tcp"), tmp_path / "lab.yaml")
    with pytest.raises(UserError, match="did you mean 'keys'"):
        parse(text.replace("keys:", "key:"), tmp_path / "lab.yaml")


def test_nothing_of_it_is_imported_without_a_cluster() -> None:
    code = (
        "import sys; import lab.cli.main, lab.run.command, lab.run.schedule, lab.trial.machine; "
        "print([n for n in sys.modules if n.startswith(('distributed', 'dask', 'lab.cluster'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
