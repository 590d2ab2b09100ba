# SPDX-License-Identifier: GPL-2.0-or-later
"""A small client of QEMU's gdbstub over a unix socket: breakpoints, registers, memory.

The GDB remote serial protocol, as much of it as a trace needs (GDB manual, appendix E; QEMU's
own packets: docs/system/gdb.rst). Emulated breakpoints write nothing into the guest's memory,
and the virtual clock stops while the machine is stopped, so a traced boot stays the same boot.
"""

from __future__ import annotations

import re
import socket
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError
from lab.system.deadline import Deadline

_ATTEMPTS_PAUSE = 0.05
# Step with interrupts and timers as they come (QEMU's SSTEP_ENABLE alone): with QEMU's default
# a step would hold them back, and the boot would be another one from there on.
_STEP_FLAGS = 1
TS = 1 << 3  # of CR0
_USER = 3  # the privilege level of user space, in the low bits of CS
_LONG = 8
_CORE = re.compile(r"[a-z0-9_-]+\.xml")


class GdbStub:
    """A connection to a stopped machine. LabError when it is lost or answers with an error."""

    def __init__(self, path: Path, deadline: Deadline) -> None:
        self._deadline = deadline
        self._socket = _connect(path, deadline)
        self._pending = b""
        self._breakpoints: set[int] = set()
        self._packet = _parse_packet_size(self.ask("qSupported:xmlRegisters=i386"))
        self.ask("?")
        self._layout = self._registers_layout()
        self.ask(f"Qqemu.sstep={_STEP_FLAGS:x}", "OK")

    def close(self) -> None:
        self._socket.close()

    def ask(self, text: str, wanted: str | None = None) -> str:
        """Send a packet and return the answer; LabError unless it is ``wanted``, where given."""
        self._send_packet(text)
        answer = self._packet_in()
        if wanted is not None and answer != wanted:
            raise LabError(f"QEMU's gdbstub answered {text[:40]!r} with {answer[:40]!r}")
        return answer

    def set_breakpoint(self, address: int) -> None:
        """Stop before the instruction there; set twice is set once."""
        if address not in self._breakpoints:
            self.ask(f"Z1,{address:x},1", "OK")
            self._breakpoints.add(address)

    def clear_breakpoint(self, address: int) -> None:
        if address in self._breakpoints:
            self.ask(f"z1,{address:x},1", "OK")
            self._breakpoints.discard(address)

    def resume(self) -> bool:
        """Run until a breakpoint; false when the machine ended instead."""
        return self._stopped(self.ask("c"))

    def step(self) -> bool:
        """Run one instruction, also one with a breakpoint on it."""
        return self._stopped(self.ask("s"))

    def registers(self) -> dict[str, int]:
        """All registers of the processor, by gdb's names."""
        raw = bytes.fromhex(self.ask("g"))
        found = {}
        for name, offset, size in self._layout:
            if offset + size <= len(raw):
                found[name] = int.from_bytes(raw[offset : offset + size], "little")
        return found

    def memory(self, address: int, size: int) -> bytes | None:
        """Virtual memory as the processor sees it now; None where nothing is mapped."""
        found, most = b"", self._packet // 2 - 16
        while len(found) < size:
            wanted = min(size - len(found), most)
            answer = self.ask(f"m{address + len(found):x},{wanted:x}")
            if answer.startswith("E") or not answer:
                return None
            found += bytes.fromhex(answer)
        return found

    def long(self, address: int) -> int | None:
        """The 64-bit number at a virtual address; None where nothing is mapped."""
        raw = self.memory(address, _LONG)
        return int.from_bytes(raw, "little") if raw else None

    def physical(self, address: int, size: int) -> bytes | None:
        """Physical memory, devices included."""
        self.ask("Qqemu.PhyMemMode:1", "OK")
        try:
            return self.memory(address, size)
        finally:
            self.ask("Qqemu.PhyMemMode:0", "OK")

    def monitor(self, command: str) -> str:
        """QEMU's own monitor: what a command prints."""
        self._send_packet(f"qRcmd,{command.encode().hex()}")
        text = ""
        while (answer := self._any_packet()) != "OK":
            if not answer.startswith("O"):
                raise LabError(f"QEMU's monitor refused {command!r}: {answer[:40]!r}")
            text += bytes.fromhex(answer[1:]).decode(errors="replace")
        return text

    def instructions(self) -> int:
        """How many the replayed machine has executed since power-on."""
        said = self.monitor("info replay")
        found = re.search(r"(?:instruction count|icount) = (\d+)", said)
        if found is None:
            raise LabError(f"QEMU does not count the instructions of its replay: {said[:80]!r}")
        return int(found.group(1))

    def run_to(self, instructions: int) -> bool:
        """Run a replay on to an exact instruction; false when the machine ended before."""
        self.monitor(f"replay_break {instructions}")
        return self.resume()

    def keep(self, snapshot: str) -> None:
        """Keep the machine's state, so that going back can begin there."""
        said = self.monitor(f"savevm {snapshot}")
        if said.strip():
            raise LabError(f"QEMU kept no snapshot: {said.strip()[:120]}")

    def _send_packet(self, text: str) -> None:
        body = text.encode()
        self._send(b"$" + body + b"#%02x" % (sum(body) & 0xFF))

    def _stopped(self, answer: str) -> bool:
        if answer.startswith("T"):
            return True
        if answer.startswith(("W", "X")):
            return False
        raise LabError(f"QEMU's gdbstub stopped with {answer[:40]!r}")

    def _send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(max(self._deadline.remaining(), 0.01))
            self._socket.sendall(data)
        except OSError as error:
            raise LabError(f"QEMU's gdbstub is gone: {error}") from error

    def _packet_in(self) -> str:
        """The next packet that is not output of a monitor command."""
        while True:
            text = self._any_packet()
            if not text.startswith("O") or text == "OK":
                return text

    def _any_packet(self) -> str:
        """The next packet, acknowledged."""
        while (end := self._end()) is None:
            self._pending += self._receive()
        start = self._pending.index(b"$")
        body = self._pending[start + 1 : end]
        self._pending = self._pending[end + 3 :]
        if not body.startswith((b"W", b"X")):  # after these QEMU no longer listens
            self._send(b"+")
        return _unescape(body).decode("latin-1")

    def _end(self) -> int | None:
        start = self._pending.find(b"$")
        end = self._pending.find(b"#", start) if start >= 0 else -1
        return end if end >= 0 and len(self._pending) >= end + 3 else None

    def _receive(self) -> bytes:
        try:
            self._socket.settimeout(max(self._deadline.remaining(), 0.01))
            data = self._socket.recv(65536)
        except TimeoutError:
            raise LabError(f"QEMU did not stop within {self._deadline.seconds:.0f} s") from None
        except OSError as error:
            raise LabError(f"QEMU's gdbstub is gone: {error}") from error
        if not data:
            raise LabError("QEMU closed the connection to its gdbstub")
        return data

    def _registers_layout(self) -> list[tuple[str, int, int]]:
        """Name, offset and size in bytes of every register in the answer to ``g``."""
        files = _CORE.findall(self._transfer("target.xml"))
        sizes: dict[int, tuple[str, int]] = {}
        number = 0
        for file in files:
            for name, bits, given in registers_in(self._transfer(file)):
                number = given if given is not None else number
                sizes[number] = (name, bits // 8)
                number += 1
        layout, offset = [], 0
        for key in sorted(sizes):
            name, size = sizes[key]
            layout.append((name, offset, size))
            offset += size
        return layout

    def _transfer(self, name: str) -> str:
        text, more = "", True
        while more:
            answer = self.ask(f"qXfer:features:read:{name}:{len(text):x},{self._packet - 16:x}")
            if not answer.startswith(("m", "l")):
                raise LabError(f"QEMU's gdbstub does not describe its registers ({name})")
            text += answer[1:]
            more = answer[0] == "m"
        return text


def in_user_space(registers: dict[str, int]) -> bool:
    """Whether the processor executes a user's program."""
    return registers["cs"] & _USER == _USER


def registers_in(description: str) -> Iterable[tuple[str, int, int | None]]:
    """Name, bits and number (where given) of a target description's registers: pure."""
    # From the QEMU that we started, not from a stranger.
    for reg in ET.fromstring(description).iter("reg"):  # noqa: S314
        number = reg.get("regnum")
        yield reg.get("name", ""), int(reg.get("bitsize", "0")), int(number) if number else None


def _connect(path: Path, deadline: Deadline) -> socket.socket:
    """Connect as soon as QEMU listens."""
    while True:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(str(path))
        except OSError as error:
            made.close()
            if deadline.expired:
                raise LabError(f"QEMU's gdbstub did not open: {error}") from error
            time.sleep(_ATTEMPTS_PAUSE)
        else:
            return made


def _parse_packet_size(supported: str) -> int:
    found = re.search(r"PacketSize=([0-9a-f]+)", supported)
    return int(found.group(1), 16) if found else 1024


def _unescape(body: bytes) -> bytes:
    """Undo the protocol's escapes: ``}`` and the next byte changed by 0x20."""
    return re.sub(rb"\}(.)", lambda found: bytes([found.group(1)[0] ^ 0x20]), body, flags=re.S)
