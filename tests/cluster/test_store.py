# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of a cluster's machine: whole and by their content, or not there."""

from __future__ import annotations

import time

import pytest

from lab.cluster import store
from lab.cluster.attempt import Answer, Said
from lab.console.watch import Ending
from lab.errors import LabError
from lab.system.files import sha256, write_atomic


def digest_of(content: bytes) -> str:
    path = store.store_folder() / "here"
    write_atomic(path, content)
    digest = sha256(path)
    path.unlink()
    return digest


def test_a_file_comes_in_pieces_and_is_there_when_it_is_whole() -> None:
    digest = digest_of(b"kernel")
    store.put(digest, "w", b"ker", last=False)
    assert store.list_missing([digest]) == [digest]
    store.put(digest, "w", b"nel", last=True)
    assert store.list_missing([digest]) == []
    assert store.find(digest).read_bytes() == b"kernel"


def test_two_senders_do_not_mix() -> None:
    digest = digest_of(b"kernel")
    store.put(digest, "v", b"ker", last=False)
    store.put(digest, "w", b"kernel", last=True)
    store.put(digest, "v", b"nel", last=True)
    assert store.find(digest).read_bytes() == b"kernel"


def test_a_damaged_file_is_not_kept() -> None:
    digest = digest_of(b"kernel")
    with pytest.raises(LabError, match="arrived damaged"):
        store.put(digest, "w", b"kerneX", last=True)
    assert list(store.store_folder().iterdir()) == []


def test_what_was_not_used_for_long_is_removed() -> None:
    digest = digest_of(b"kernel")
    store.put(digest, "w", b"kernel", last=True)
    store.tidy(time.time() + 29 * 86400)
    assert store.list_missing([digest]) == []
    store.tidy(time.time() + 31 * 86400)
    assert store.list_missing([digest]) == [digest]


def test_what_is_said_comes_through_with_what_others_add() -> None:
    said = Said("x", "console", "w1", 3, b"abc")
    assert Said.read({**said.as_words(), "worker": "tls://127.0.0.1:1"}) == said
    answer = Answer(Ending("finished", "", 1.5, 0.5), b"text", b"", ("a",), "")
    assert Answer.read(answer.as_words()) == answer
