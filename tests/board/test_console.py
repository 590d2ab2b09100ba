# SPDX-License-Identifier: GPL-2.0-or-later
"""A console that is followed: every byte is kept, losses are noted, faults are one sentence."""

from __future__ import annotations

import os
import pty
import random
import socket
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.board import console as module
from lab.board.console import NOTES, Console, Following
from lab.config.board import BoardConfig
from lab.errors import LabError
from lab.system.deadline import Deadline

BYTES = bytes(range(256)) * 400 + b"\xff\xff\r\n\0\r\0\xff\xfa"


def board(**console: Any) -> BoardConfig:
    power = {"kind": "command", "on": ["true"], "off": ["true"], "status": ["echo", "off"]}
    return BoardConfig.model_validate({"power": power, "console": console})


class Script:
    """A source that gives what is in its list: bytes, or an error where the line is lost."""

    def __init__(self, *takes: bytes | OSError) -> None:
        self._takes = list(takes)

    def take(self, seconds: float) -> bytes:
        if not self._takes:
            time.sleep(min(seconds, 0.01))
            return b""
        found = self._takes.pop(0)
        if isinstance(found, OSError):
            raise found
        return found

    def close(self) -> None:
        """Nothing is open."""


def script(*sources: Script | OSError) -> Callable[..., Script]:
    waiting = list(sources)

    def opener(_config: BoardConfig, _notes: Path, _again: bool) -> Script:
        found = waiting.pop(0) if waiting else OSError("no more")
        if isinstance(found, OSError):
            raise found
        return found

    return opener


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OPEN_SECONDS", 0.3)
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.02)


def wait_for(following: Following, size: int) -> None:
    Deadline(20).wait_for(lambda: following.size >= size, f"{size} bytes", every=0.01)


def test_what_came_before_a_loss_and_after_it_is_all_there(tmp_path: Path) -> None:
    opener = script(
        Script(b"one ", b"two ", OSError("cable")), OSError("not yet"), Script(b"three")
    )
    path = tmp_path / "console.log"
    path.write_bytes(b"zero ")
    with Console("rack1", board(kind="tcp", address="a", port=1), opener).follow(path) as seen:
        wait_for(seen, 13)
        assert seen.connected
        assert seen.losses == 1
    assert path.read_bytes() == b"zero one two three"
    lost, back = (tmp_path / NOTES).read_text().splitlines()
    assert lost.endswith("tcp a port 1: lost after 8 bytes: cable")
    assert back.endswith("tcp a port 1: open again after 8 bytes")


def test_a_loss_is_refused_and_a_long_one_is_a_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = script(Script(b"one", OSError("cable")))
    path = tmp_path / "console.log"
    with Console("rack1", board(kind="tcp", address="a", port=1), opener).follow(path) as seen:
        Deadline(20).wait_for(lambda: seen.losses == 1, "the loss")
        assert not seen.find_problem()
        monkeypatch.setattr(module, "_MOST_LOST_SECONDS", 0.0)
        assert seen.find_problem() == (
            "rack1: its console (tcp a port 1) is gone after 3 bytes, and could not be opened "
            "again for 0 s"
        )
    with pytest.raises(LabError, match=r"^rack1: the connection to its console \(.*\) was lost 1 "):
        seen.refuse_losses()


def test_what_is_on_its_way_when_the_block_ends_still_arrives(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    opener = script(Script(*[b"x"] * 5000))
    with Console("rack1", board(kind="tcp", address="a", port=1), opener).follow(path):
        pass
    assert path.read_bytes() == b"x" * 5000


def test_a_console_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    opener = script(*[OSError("refused\nby all")] * 99)
    said = r"^rack1: its console \(tcp a port 1\) cannot be opened: refused by all$"
    console = Console("rack1", board(kind="tcp", address="a", port=1), opener)
    with pytest.raises(LabError, match=said), console.follow(tmp_path / "console.log"):
        pass


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    console = Console("rack1", board(kind="tcp", address="a", port=1), script(Script(b"x" * 100)))
    full = tmp_path / "console.log"
    full.symlink_to("/dev/full")
    said = r"rack1: .*console\.log cannot be written: .*No space"
    with pytest.raises(LabError, match=said), console.follow(full) as seen:
        Deadline(20).wait_for(lambda: not seen.connected, "the end")


def test_a_fault_in_the_block_is_not_hidden(tmp_path: Path) -> None:
    console = Console("rack1", board(kind="tcp", address="a", port=1), script(Script()))
    with pytest.raises(KeyError), console.follow(tmp_path / "console.log"):
        raise KeyError


def test_tcp_carries_every_byte(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for part in (BYTES[:70000], BYTES[70000:]):  # the line is lost in between
                link, _ = server.accept()
                with link:
                    link.sendall(part)

        thread = threading.Thread(target=serve)
        thread.start()
        config = board(kind="tcp", address="127.0.0.1", port=server.getsockname()[1])
        path = tmp_path / "console.log"
        with Console("rack1", config).follow(path) as seen:
            wait_for(seen, len(BYTES))
        thread.join()
    assert path.read_bytes() == BYTES


def test_a_device_carries_every_byte(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    config = board(kind="device", path=os.ttyname(slave))
    path = tmp_path / "console.log"
    with Console("rack1", config).follow(path) as seen:
        thread = threading.Thread(target=lambda: _write_all(master, BYTES))
        thread.start()
        wait_for(seen, len(BYTES))
        thread.join()
    os.close(master)
    os.close(slave)
    assert path.read_bytes() == BYTES


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def test_a_programs_output_is_carried_raw_and_it_is_started_again(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(200_000)  # noqa: S311 - any bytes
    source = tmp_path / "bytes"
    source.write_bytes(content)
    words = ["sh", "-c", f"echo working >&2; cat {source}; sleep 0.2"]
    path = tmp_path / "console.log"
    with Console("rack1", board(kind="command", command=words)).follow(path) as seen:
        wait_for(seen, 2 * len(content))
    assert path.read_bytes().startswith(content * 2)
    notes = (tmp_path / NOTES).read_text()
    assert notes.startswith("working\n")
    assert f"command sh: lost after {len(content)} bytes: sh ended (0)" in notes


def test_a_program_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    console = Console("rack1", board(kind="command", command=["/nowhere"]))
    with console.follow(tmp_path / "console.log") as seen:  # setpriv is, what it starts is not
        Deadline(20).wait_for(lambda: seen.losses > 0, "the loss")
    notes = (tmp_path / NOTES).read_text()
    assert "/nowhere" in notes
    assert "lost after 0 bytes" in notes


def test_silence_is_said_with_what_it_can_mean(tmp_path: Path) -> None:
    console = Console("rack1", board(kind="tcp", address="a", port=1), script(Script()))
    said = "its power control says that it is on, but its console .* stayed silent for 0 s"
    with console.follow(tmp_path / "console.log") as seen, pytest.raises(LabError, match=said):
        seen.wait_for_bytes(Deadline(0.1))
