# SPDX-License-Identifier: GPL-2.0-or-later
"""The pinned key of a real host: what is taken for one, and what is said of anything else."""

from __future__ import annotations

import pytest

from lab.config.hostkey import check_host_key
from tests.helpers.hostkeys import ED25519, blob

ECDSA = blob(b"ecdsa-sha2-nistp256", b"nistp256", bytes(65))
RSA = blob(b"ssh-rsa", b"\1\0\1", bytes(257))


@pytest.mark.parametrize(
    "text",
    [
        f"ssh-ed25519 {ED25519}",
        f"ssh-ed25519 {ED25519} root@rack1\n",
        f"ecdsa-sha2-nistp256 {ECDSA}",
        f"ssh-rsa {RSA}",
    ],
)
def test_the_content_of_a_pub_file_is_a_host_key(text: str) -> None:
    check_host_key(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has the type ''"),
        ("k", "has the type 'k', known are ssh-ed25519"),
        ("ssh-ed25519", "has nothing after 'ssh-ed25519'"),
        ("ssh-ed25519 AAAA...", "has no base64 after 'ssh-ed25519'"),
        ("ssh-ed25519 schlüssel", "has no base64"),
        (f"ssh-ed25519 {ED25519[:40]}", "is truncated"),
        ("ssh-ed25519 AAAA", "is truncated"),
        (f"ssh-rsa {ED25519}", "says 'ssh-rsa', its content says 'ssh-ed25519'"),
        (f"ssh-ed25519 {blob(b'ssh-ed25519', b'short')}", "is not a whole ssh-ed25519 key"),
        (f"ssh-rsa {blob(b'ssh-rsa', b'e')}", "is not a whole ssh-rsa key"),
        (f"rack1 ssh-ed25519 {ED25519}", "has 'rack1' before the key's type"),
        (f"ssh-dss {blob(b'ssh-dss')}", "has the type 'ssh-dss'"),
        (f"ssh-ed25519 {ED25519}\nssh-rsa {RSA}", "is more than one line"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "is a private key"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"; it should read ") as caught:
        check_host_key(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
