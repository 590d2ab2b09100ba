# SPDX-License-Identifier: GPL-2.0-or-later
"""The Xen under test on a board: its command line, and the proof that it is what runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.trial.boardxen import front_words, prove
from lab.xen.hypervisor import Xen

INFO = {
    "xen_commandline": "placeholder dom0_mem=512M com1=115200,8n1 lab=abc123",
    "cc_compile_date": "Wed Nov  4 16:52:28 UTC 2026",
    "xen_extra": ".7-pre",
}


@pytest.fixture
def xen(tmp_path: Path) -> Xen:
    image = tmp_path / "xen"
    image.write_bytes(b"\0Wed Nov  4 16:52:28 UTC 2026\0 .7-pre\0")
    return Xen(image, "built", "4.17.7-pre")


def test_it_has_the_boards_own_words_and_a_nonce() -> None:
    own = "placeholder dom0_mem=512M lab=old com1=115200,8n1"
    assert front_words(own, "abc", "loglvl=all") == (
        "dom0_mem=512M com1=115200,8n1 lab=abc loglvl=all"
    )


def test_the_xen_under_test_is_known_by_nonce_and_build(xen: Xen) -> None:
    prove(INFO, "abc123", xen, "rack1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"xen_commandline": "placeholder dom0_mem=512M"}, "came back with its own system"),
        ({"xen_commandline": "lab=other"}, "came back with its own system"),
        ({"cc_compile_date": "Thu Jan  1 00:00:00 UTC 2026"}, "another Xen than the one under"),
        ({"xen_extra": ".8"}, "xl info shows xen_extra '.8'"),
    ],
)
def test_another_one_is_the_labs_error(xen: Xen, change: dict[str, str], words: str) -> None:
    with pytest.raises(LabError, match=words):
        prove({**INFO, **change}, "abc123", xen, "rack1")
