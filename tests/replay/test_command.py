# SPDX-License-Identifier: GPL-2.0-or-later
"""Comparing a replay with its capsule, and the words for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.qemu.identity import Identity
from lab.replay.capsule import locate
from lab.replay.compare import compare, describe, reasons
from lab.replay.hunt import Candidate, candidates

HERE = Identity("QEMU 7.2.22", "0" * 64, {"bios": "1"})


def test_identical() -> None:
    assert compare(b"a\nb\n", b"a\nb\n") is None


def test_the_first_different_line_and_its_time() -> None:
    one = b"[    1.500000] up\r\n@mmx 3 progress t=0.125000 windows=7 #00000000\nx 1\ny\n"
    parting = compare(one, one.replace(b"x 1", b"x 2"))
    assert parting is not None
    assert (parting.line, parting.expected, parting.found) == (3, "x 1", "x 2")
    assert parting.when == "0.125000 s after the program's start"
    parting = compare(b"[    1.500000] up\na", b"[    1.500000] up\nb")
    assert parting is not None
    assert parting.when == "1.500000 s after the kernel's start"


def test_a_console_that_ends_early() -> None:
    parting = compare(b"a\nb", b"a")
    assert parting is not None
    assert (parting.line, parting.expected, parting.found) == (2, "b", None)
    assert "  here     (the console has ended)" in describe(parting, ["why"])


def test_a_console_is_never_shown_raw() -> None:
    parting = compare(b"a", b"\x1b[2J\x1b]0;title\x07" + b"b" * 10_000)
    assert parting is not None
    assert parting.found == "b" * 120 + "..."


def test_why_consoles_part() -> None:
    assert (
        "QEMU 10.0 instead of QEMU 7.2.22"
        in reasons(HERE, Identity("QEMU 10.0", "9" * 64, {"bios": "1"}), False)[0]
    )
    assert "another build" in reasons(HERE, Identity(HERE.version, "9" * 64, HERE.parts), False)[0]
    assert "another bios" in reasons(HERE, Identity(HERE.version, HERE.program, {}), False)[0]
    assert "command line" in reasons(HERE, HERE, True)[0]
    assert "nothing is known to differ" in reasons(HERE, HERE, False)[0]


def test_candidates_try_all_seeds_first() -> None:
    assert list(candidates(5, 2, [1, 0])) == [
        Candidate(1, 5, 1), Candidate(2, 6, 1), Candidate(3, 5, 0), Candidate(4, 6, 0),
    ]  # fmt: skip


def test_a_folder_stands_for_its_only_capsule(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no capsule"):
        locate(tmp_path)
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "replay.capsule").touch()
        if number == 1:
            assert locate(tmp_path) == tmp_path / "1" / "replay.capsule"
    with pytest.raises(UserError, match="2 capsules"):
        locate(tmp_path)
