# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's check: what each part sees, and what is left out after one that failed."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.board.netboot import NetBootServer
from lab.config.load import parse
from lab.console.counted import make_text
from lab.errors import LabError
from lab.health import counting
from lab.health.counting import Bench
from lab.health.course import check_booting, check_without_boot
from lab.health.parts import NAMES, Parts
from lab.health.setup import find_cell, make_config
from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable, Kernel
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.supplies.gather import Supplies
from lab.system.deadline import Deadline
from lab.trial.board import BoardPlace
from tests.helpers.consoles import record

MAC = "52:54:00:12:34:56"
TEXT = f"""
boards:
  b1: {{power: {{kind: command, 'on': [a], 'off': [b], status: [c]}},
    console: {{kind: tcp, address: x, port: 1}}, mac: '{MAC}',
    boot: {{kind: network, address: 10.0.0.1}}}}
hosts: {{rack1: {{board: b1, boot_seconds: 300}}}}
kernels: {{mine: {{control: bad, args: no_timer_check}}, old: {{image: old.bzImage}}}}
variations: {{two: {{vcpus: 2}}}}
matrix: {{variations: [plain, two], hosts: [rack1]}}
"""
Boot = Callable[["Machine", str, int, bool], bytes]


def test_a_check_runs_the_control_alone(tmp_path: Path) -> None:
    config = parse(TEXT, tmp_path / "lab.yaml")
    made = make_config(config, "b1")
    assert find_cell(made, "native").id == "native-mine@rack1"
    assert find_cell(made, "dom0").args == "no_timer_check"
    bare = parse(re.sub("hosts: .*\n|kernels: .*\n", "", TEXT, count=1).replace(
        ", hosts: [rack1]", ""
    ), tmp_path / "lab.yaml")  # fmt: skip
    assert find_cell(make_config(bare, "b1"), "native").board == "b1"


class Machine:
    """A board whose console says what ``boot`` makes of the script that it was given."""

    name = "b1"

    def __init__(self, server: NetBootServer, config: Any, boot: Boot) -> None:
        self.server, self.config, self.boot = server, config, boot
        self.did: list[str] = []
        self.power = self.console = self
        self.path = Path()
        self.size = self.losses = 0

    def check(self) -> None:
        """As a Following."""

    def wait_for_bytes(self, deadline: Deadline) -> None:
        while self.size == 0:
            if deadline.expired:
                raise LabError("b1: its console stayed silent")
            deadline.pause(0.01)

    def ask(self) -> str:
        address = f"http://127.0.0.1:{self.server.port}/boot/{MAC}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return str(answer.read().decode())

    def on(self) -> None:
        self.did.append("on")
        script = self.ask()
        nonce, lines = (re.search(rf"mmx.{key}=(\w+)", script) for key in ("run", "lines"))
        assert nonce is not None
        assert lines is not None
        self.say(self.boot(self, nonce[1], int(lines[1]), "then=reboot" in script))

    def say(self, words: bytes) -> None:
        with self.path.open("ab") as out:
            out.write(words)
        self.size += len(words)

    def off(self) -> None:
        self.did.append("off")

    @contextlib.contextmanager
    def follow(self, path: Path) -> Iterator[Machine]:
        self.path, self.size = path, 0
        path.touch()
        yield self


def count(machine: Machine, nonce: str, lines: int, reboot: bool, lose: int = 0) -> bytes:
    """What the counting program prints, and what its reboot brings."""
    said = b"Linux version 6.1 mmx.run=%s\r\n" % nonce.encode()
    said += record(0, "start", run=nonce, lines=lines) + make_text(lines)[lose:]
    said += record(1, "text", t="1.500000", lines=lines).replace(b"\n@", b"\r\n@")
    if not reboot:
        return said + record(2, "end", t="1.500000", status="ok")
    assert machine.ask() == "#!ipxe\nexit\n"
    threading.Timer(0.05, machine.say, [b"login: "]).start()
    return said


class Good:
    """A known-good system that is as it should be, except for ``wrong``."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong
        self.left = False

    def _say(self, what: str) -> str:
        if what == self.wrong:
            raise LabError(f"{what} is wrong")
        return f"{what} is right"

    def await_answer(self, _deadline: Any, since: float) -> str:
        assert since <= time.monotonic()
        return self._say("ssh")

    def read_clock(self) -> str:
        return self._say("clock")

    def read_xen(self) -> str:
        return self._say("Xen")

    def leave(self) -> None:
        self.left = True


class Bed:
    """A bench around a machine that is a script."""

    def __init__(self, folder: Path, server: NetBootServer) -> None:
        self.folder, self.server = folder, server
        self.config = make_config(parse(TEXT, folder / "lab.yaml"), "b1")
        self.board = self.config.boards["b1"]
        self.image = folder / "image"
        self.image.write_bytes(b"x")
        self.lines: list[str] = []
        self.parts = Parts(self.lines.append)

    def check(self, boot: Boot, good: Good | None = None, seconds: float = 0.4) -> Machine:
        bootable = Bootable(Kernel("mine", self.image), BzImage("6.1", True, False))
        supplies = Supplies(
            Qemu(Path("/qemu"), "7.2.0", (), ""), Accel("tcg", ""), self.image, self.image,
            {"mine": bootable}, None, None,
        )  # fmt: skip
        machine: Any = Machine(self.server, self.board, boot)
        bench = Bench(
            machine, BoardPlace(machine, "b1", self.board, supplies, self.server), self.server,
            find_cell(self.config, "native"), self.image, self.image, self.folder / "said", seconds,
        )  # fmt: skip
        check_booting(self.parts, bench, good, None)  # type: ignore[arg-type]
        return machine  # type: ignore[no-any-return]

    @property
    def states(self) -> dict[str, str]:
        return {part.name: part.state for part in self.parts.done}

    def said(self, name: str) -> str:
        return next(part.said for part in self.parts.done if part.name == name)


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    monkeypatch.setattr(counting, "LINES", 40)
    monkeypatch.setattr(counting, "_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(counting, "_KERNEL_SECONDS", 0.5)
    with NetBootServer("127.0.0.1", 0, [MAC]) as server:
        yield Bed(tmp_path, server)


def test_a_board_that_is_as_it_should_be(bed: Bed) -> None:
    good = Good()
    machine = bed.check(count, good)
    assert list(bed.states) == list(NAMES)
    assert {name for name, state in bed.states.items() if state == "ok"} == {*NAMES[:7]}
    assert bed.said("console") == (
        "2,560 bytes, none lost, damaged or doubled, 1,707 bytes/s (115200 baud)"
    )
    assert bed.said("boot once").endswith(
        "asking again after its reboot it was given exit; its console then said: login: "
    )
    assert good.left
    assert machine.did == ["off", "on", "off"] * 2
    assert len(bed.lines) == len(NAMES)
    assert bed.lines[-1] == "dom0         not checked: left out by --quick"


def test_without_ssh_three_parts_are_said_to_be_left_out(bed: Bed) -> None:
    bed.check(count)
    assert bed.lines[4:7] == [
        f"{name:<12} not checked: no ssh:" for name in ("own system", "clock", "Xen")
    ]


def test_a_console_that_loses_bytes_fails_and_the_rest_is_checked(bed: Bed) -> None:
    bed.check(lambda m, nonce, lines, reboot: count(m, nonce, lines, reboot, 3), Good())
    assert bed.said("console") == "of 2,560 bytes 3 lost"
    assert [name for name, state in bed.states.items() if state == "failed"] == ["console"]


def test_a_program_that_never_speaks(bed: Bed) -> None:
    bed.check(lambda _m, nonce, *_: b"Linux version 6.1 mmx.run=%s\r\n" % nonce.encode())
    assert "the counting program never started" in bed.said("console")
    assert bed.states["boot once"] == "failed"
    assert bed.states["own system"] == "not checked"


def test_its_own_system_is_not_this_boot(bed: Bed) -> None:
    machine = bed.check(lambda *_: b"Welcome to Debian\r\nlogin: ", Good())
    assert bed.said("power") == (
        "its console does not show this boot's nonce after 0 s (it was given the script); "
        "it last said: login: "
    )
    assert set(bed.states.values()) == {"failed", "not checked"}
    assert bed.said("dom0") == "power failed"
    assert machine.did == ["off", "on", "off"]


def test_silence_is_said_to_be_a_machine_that_is_off(bed: Bed) -> None:
    bed.check(lambda *_: b"")
    assert bed.said("power").endswith("stayed silent")


def test_a_board_that_does_not_come_back(bed: Bed) -> None:
    bed.check(lambda m, nonce, lines, _r: count(m, nonce, lines, False), Good())
    assert bed.said("boot once") == ("it did not ask the lab again within 0 s after its reboot")
    assert bed.said("own system") == "boot once failed"


@pytest.mark.parametrize(
    ("wrong", "failed", "left"),
    [("ssh", "own system", 2), ("clock", "clock", 0), ("Xen", "Xen", 0)],
)
def test_what_is_wrong_with_the_known_good_system(
    bed: Bed, wrong: str, failed: str, left: int
) -> None:
    bed.check(count, Good(wrong))
    assert bed.said(failed) == f"{wrong} is wrong"
    assert list(bed.states.values())[:7].count("not checked") == left


def test_power_that_fails_is_a_part_that_failed(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_machine: Machine) -> None:
        raise LabError("b1: the BMC refuses user 'lab'")

    monkeypatch.setattr(Machine, "off", refuse)
    bed.check(count)
    assert bed.said("power") == "b1: the BMC refuses user 'lab'"


def test_a_board_without_boot_has_power_and_a_voice(bed: Bed, tmp_path: Path) -> None:
    class Plain(Machine):
        def on(self) -> None:
            self.did.append("on")
            threading.Timer(0.05, self.say, [b"BIOS\r\n"]).start()

    machine: Any = Plain(bed.server, bed.board, count)
    check_without_boot(bed.parts, machine, None, tmp_path / "console.log", 5, "no boot:")
    assert bed.states == {
        "power": "ok", "console": "not checked", "power again": "ok", "boot once": "not checked",
        "own system": "not checked", "clock": "not checked", "Xen": "not checked",
        "native": "not checked", "dom0": "not checked",
    }  # fmt: skip
    assert machine.did == ["off", "on", "off", "on", "off"]
