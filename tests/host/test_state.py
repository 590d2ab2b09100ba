# SPDX-License-Identifier: GPL-2.0-or-later
"""The folder of a nested host: one holder at a time, and what is read is whole or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host.state import HostFolder, HostState


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = HostFolder(tmp_path / "host"), HostFolder(tmp_path / "host")
    first.hold()
    first.hold()
    with pytest.raises(LabError, match="another lab is using the nested host"):
        second.hold()
    assert (first.held, second.held) == (True, False)
    first.release()
    second.hold()


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = HostFolder(tmp_path)
    assert folder.read() is None
    state = HostState("plan", "nonce", 2222, "fresh", kept=True)
    folder.write(state)
    assert folder.read() == state


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"nonce": "n"}', '{"strange": 1}'])
def test_what_is_not_a_state_counts_as_missing(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert HostFolder(tmp_path).read() is None


def test_a_new_start_keeps_the_console_of_a_killed_controllers_host(tmp_path: Path) -> None:
    folder = HostFolder(tmp_path)
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    folder.console.write_text("before")
    folder.begin(HostState("plan", "nonce", 2222), disk, "raw")
    assert folder.console.read_text() == ""
    assert (tmp_path / "console.previous.log").read_text() == "before"
    assert folder.overlay.stat().st_size > 0
