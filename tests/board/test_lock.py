# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has a board: one process at a time; a dead one is seen; nothing in a lock file is trusted."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest

from lab.board import lock
from lab.board.lock import find_holder, hold, lock_path
from lab.config.board import BoardConfig
from lab.errors import LabError


def board(**power: object) -> BoardConfig:
    login = {"kind": "ipmi", "address": "bmc1", "user": "u", "password_env": "PW", **power}
    console = {"kind": "tcp", "address": "ts1", "port": 1}
    return BoardConfig.model_validate({"power": login, "console": console})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "FOLDER", tmp_path / "boards")
    monkeypatch.setattr(lock, "_GLANCE_SECONDS", 0.0)
    return tmp_path / "boards"


def test_nobody_has_a_board_at_first_and_at_last() -> None:
    assert find_holder(board()) == (None, False)
    with hold("rack1", board()) as held:
        assert held.left is None
        held.note(True)
        held.note(False)
    assert find_holder(board()) == (None, False)
    assert lock_path(board()).read_bytes() == b""


def test_a_second_one_is_refused_with_the_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["lab", "run", "dom0-mine"])
    with hold("rack1", board()):
        holder, alive = find_holder(board())
        assert alive
        assert holder is not None
        assert holder.pid == os.getpid()
        assert holder.started > 0
        said = (
            rf"rack1 is held by another lab: pid {os.getpid()} of .*, `lab run dom0-mine`, since "
        )
        with pytest.raises(LabError, match=said), hold("rack1", board()):
            pass
    with hold("rack1", board()):
        pass


def test_two_names_for_one_power_control_are_one_board() -> None:
    assert lock_path(board(address="BMC1")) == lock_path(board(user="other"))
    assert lock_path(board()) != lock_path(board(port=624))
    assert lock_path(board()) != lock_path(board(address="bmc2"))


def test_what_may_still_be_on_is_remembered_until_it_is_off() -> None:
    with hold("rack1", board()) as held:
        held.note(True)
    holder, alive = find_holder(board())
    assert holder is not None
    assert not alive
    with hold("rack1", board()) as held:
        assert held.left == holder
        assert held.powered
    with hold("rack1", board()) as held:  # the one before did nothing about it
        assert held.left is not None
        held.note(False)
    assert find_holder(board()) == (None, False)


def test_a_dead_holder_that_had_not_switched_it_on_is_nobody() -> None:
    with hold("rack1", board()):
        kept = lock_path(board()).read_bytes()
    lock_path(board()).write_bytes(kept)  # as a kill leaves it
    assert find_holder(board()) == (None, False)
    with hold("rack1", board()) as held:
        assert held.left is None


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"pid": 1}', b"\0\1\2", b'{"pid": "x"}'])
def test_a_lock_that_cannot_be_read_may_be_anybodys(folder: Path, content: bytes) -> None:
    """A process that was killed while it wrote: the board counts as left on."""
    folder.mkdir()
    lock_path(board()).write_bytes(content)
    with hold("rack1", board()) as held:
        assert held.left is not None
        assert held.left.user == "somebody"


def test_what_is_shown_of_a_holder_is_harmless(folder: Path) -> None:
    folder.mkdir()
    shown = {"user": "\x1b[31mroot", "command": "lab\nrun", "since": "\x1b]0;x\x07now"}
    content = {"pid": 7, "started": 1, "powered": True, **shown}
    lock_path(board()).write_text(json.dumps(content))
    holder, _ = find_holder(board())
    assert str(holder) == "pid 7 of root, `lab run`, since now"


def test_a_link_in_the_place_of_a_lock_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("dear")
    lock_path(board()).symlink_to(victim)
    with pytest.raises(LabError, match="cannot be opened"), hold("rack1", board()):
        pass
    assert victim.read_text() == "dear"


def test_another_user_may_take_the_lock_too(folder: Path) -> None:
    with hold("rack1", board()):
        assert folder.stat().st_mode & 0o7777 == 0o1777
        assert lock_path(board()).stat().st_mode & 0o777 == 0o666


def test_a_child_does_not_keep_the_lock(folder: Path) -> None:
    with hold("rack1", board()):
        handles = Path("/proc/self/fd").iterdir()
        mine = [int(h.name) for h in handles if str(h.resolve()).startswith(str(folder))]
        assert mine
        assert all(fcntl.fcntl(number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC for number in mine)
