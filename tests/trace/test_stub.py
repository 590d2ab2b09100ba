# SPDX-License-Identifier: GPL-2.0-or-later
"""The client of QEMU's gdbstub against a small server that speaks its protocol."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.system.deadline import Deadline
from lab.trace.stub import GdbStub, registers_in

TARGET = '<target><xi:include href="core.xml"/></target>'
CORE = (
    '<feature><reg name="rip" bitsize="64" regnum="0"/><reg name="cs" bitsize="32"/>'
    '<reg name="st0" bitsize="80"/></feature>'
)


class Server:
    """Answers packets by a table; what it was asked is in ``asked``."""

    def __init__(self, path: Path) -> None:
        self.asked: list[str] = []
        self.answers = {
            "qSupported": "PacketSize=1000", "?": "T05", "Qqemu.sstep": "OK", "c": "T05thread:01;",
            "s": "T05", "Z1": "OK", "z1": "OK", "Qqemu.PhyMemMode": "OK",
            "g": "efbe000000000000" + "33000000" + "0102030405060708ffff",
        }  # fmt: skip
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        pending = b""
        with connection:
            while data := connection.recv(4096):
                pending += data
                while found := re.search(rb"\$([^#]*)#..", pending):
                    pending = pending[found.end() :]
                    connection.sendall(b"+" + self._answer(found.group(1).decode()))

    def _answer(self, text: str) -> bytes:
        self.asked.append(text)
        if text.startswith("qXfer"):
            _, _, _, name, span = text.split(":")
            start, size = (int(word, 16) for word in span.split(","))
            content = TARGET if name == "target.xml" else CORE
            size = min(size, 20)  # in pieces
            part = content[start : start + size]
            return packet(("l" if start + size >= len(content) else "m") + part)
        if text.startswith("qRcmd"):
            return packet("O" + b"instruction count = 42".hex()) + packet("OK")
        if text.startswith("m"):
            start, size = (int(word, 16) for word in text[1:].split(","))
            return packet("E14") if start >= 0x9000 else packet("ab" * size)
        key = next(key for key in self.answers if text.startswith(key))
        return packet(self.answers[key])


def packet(text: str) -> bytes:
    body = text.encode().replace(b"}", b"}]")
    return b"$" + body + b"#%02x" % (sum(body) & 0xFF)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Server, GdbStub]]:
    made = Server(tmp_path / "gdb")
    stub = GdbStub(tmp_path / "gdb", Deadline(20))
    yield made, stub
    stub.close()


def test_registers_by_their_description(server: tuple[Server, GdbStub]) -> None:
    _, stub = server
    found = stub.registers()
    assert found == {"rip": 0xBEEF, "cs": 0x33, "st0": 0xFFFF0807060504030201}


def test_steps_hold_back_no_timers(server: tuple[Server, GdbStub]) -> None:
    made, _ = server
    assert "Qqemu.sstep=1" in made.asked


def test_memory_in_pieces_and_where_it_is_missing(server: tuple[Server, GdbStub]) -> None:
    made, stub = server
    assert stub.memory(0x1000, 5000) == b"\xab" * 5000
    assert len([text for text in made.asked if text.startswith("m")]) == 3
    assert stub.memory(0x9000, 8) is None


def test_a_breakpoint_is_set_once(server: tuple[Server, GdbStub]) -> None:
    made, stub = server
    stub.set_breakpoint(0x10)
    stub.set_breakpoint(0x10)
    stub.clear_breakpoint(0x10)
    stub.clear_breakpoint(0x10)
    assert made.asked.count("Z1,10,1") == made.asked.count("z1,10,1") == 1


def test_the_monitor_and_the_count_of_instructions(server: tuple[Server, GdbStub]) -> None:
    _, stub = server
    assert stub.instructions() == 42


def test_the_machines_end_is_not_a_stop(server: tuple[Server, GdbStub]) -> None:
    made, stub = server
    assert stub.resume()
    made.answers["c"] = "W00"
    assert not stub.resume()


def test_an_unwanted_answer_is_an_error(server: tuple[Server, GdbStub]) -> None:
    made, stub = server
    made.answers["Z1"] = "E22"
    with pytest.raises(LabError, match="answered 'Z1,10,1' with 'E22'"):
        stub.set_breakpoint(0x10)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="did not open"):
        GdbStub(tmp_path / "none", Deadline(0))


def test_numbers_of_registers_follow_each_other() -> None:
    assert list(registers_in(CORE)) == [("rip", 64, 0), ("cs", 32, None), ("st0", 80, None)]
