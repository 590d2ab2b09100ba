# SPDX-License-Identifier: GPL-2.0-or-later
"""One boot on a board: the order of things, and that it is off afterwards whatever happens."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.board.netboot import NetBootServer
from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.console.watch import Ending
from lab.errors import LabError
from lab.evidence.run import RunFolder
from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable, Kernel
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.report.board import Board as Progress
from lab.supplies.gather import Supplies
from lab.system.deadline import Deadline
from lab.trial import board as trial_board
from lab.trial.assignment import Assignment, gather_facts, make_assignment
from lab.trial.board import BoardPlace, xen_words
from lab.trial.job import Job
from lab.verdict.stopping import Asked
from lab.xen.hypervisor import Xen
from tests.helpers.consoles import console
from tests.helpers.scripted import Machine

MAC = "52:54:00:12:34:56"
TEXT = f"""
boards:
  b1: {{power: {{kind: command, 'on': [a], 'off': [b], status: [c]}}, serial: com2, speed: 9600,
    console: {{kind: tcp, address: x, port: 1}}, mac: '{MAC}',
    boot: {{kind: network, address: 10.0.0.1}}}}
hosts: {{rack1: {{board: b1}}}}
kernels: {{old: {{image: old.bzImage}}}}
"""


class Bench:
    """A place with its server and a machine that is a script."""

    def __init__(self, folder: Path, server: NetBootServer) -> None:
        self.folder, self.server = folder, server
        self.console = folder / "console.log"
        for name in ("kernel", "ramdisk", "xen"):
            (folder / name).write_bytes(b"x")
        self.config: LabConfig = parse(TEXT, folder / "lab.yaml")
        bootable = Bootable(Kernel("old", folder / "kernel"), BzImage("3.19.8", True, False))
        self.supplies = Supplies(
            Qemu(Path("/qemu"), "7.2.0", (), ""), Accel("tcg", ""), folder, folder,
            {"old": bootable}, Xen(folder / "xen", "xen", "4.17"), None,
        )  # fmt: skip
        self.stop = threading.Event()

    def place(self, machine: Any) -> BoardPlace:
        board = self.config.boards["b1"]
        return BoardPlace(machine, "b1", board, self.supplies, self.server, "ucode=no")

    def task(self, guest: Any = "native", seconds: float = 20) -> Assignment:
        cell = Cell(f"{guest}-old@rack1", guest, "old", host="rack1", board="b1")
        return Assignment(
            cell, self.folder / "kernel", self.folder / "ramdisk", "panic=1 mmx.run=cafe", 256,
            "cafe", Deadline(seconds), 1,
        )  # fmt: skip

    def boot(self, machine: Any, seconds: float = 20) -> Ending:
        return self.place(machine).boot(
            self.task(seconds=seconds), self.console, Progress(), self.stop
        )

    def ask(self) -> None:
        address = f"http://127.0.0.1:{self.server.port}/boot/{MAC}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            answer.read()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with NetBootServer("127.0.0.1", 0, [MAC]) as server:
        yield Bench(tmp_path, server)


def test_the_console_is_followed_from_before_power_on(bench: Bench) -> None:
    def boots() -> bytes:
        bench.ask()
        return console(xen="none")

    machine = Machine(boots)
    ending = bench.boot(machine)
    assert ending.how == "finished"
    assert ending.boot_seconds is not None
    assert machine.did == ["follow", "off", "on", "off", "end"]
    assert bench.console.read_bytes() == console(xen="none")
    assert "the script" in (bench.folder / "netboot.log").read_text()


def test_a_board_that_cannot_be_switched_on_is_switched_off(bench: Bench) -> None:
    machine = Machine(bytes)
    machine.refuses = "on"
    with pytest.raises(LabError, match="did not answer"):
        bench.boot(machine)
    assert machine.did == ["follow", "off", "on", "off"]


def test_a_board_that_never_asks_is_said_to(bench: Bench) -> None:
    machine = Machine(lambda: b"SeaBIOS\r\n")
    ending = bench.boot(machine, 0.5)
    assert (ending.how, ending.detail) == ("deadline", "it never asked the lab what to boot")
    assert machine.did[-2:] == ["off", "end"]


def test_a_board_that_asks_again_has_rebooted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_board, "_COME_BACK_GRACE", 0.1)

    def boots() -> bytes:
        bench.ask()
        bench.ask()
        return b"login: "

    ending = bench.boot(Machine(boots))
    assert (ending.how, ending.detail) == ("exited", "it asked the lab again what to boot")


def test_a_console_that_was_lost_says_nothing_by_its_silence(bench: Bench) -> None:
    """... but a program whose last record came has said it all."""
    machine = Machine(lambda: b"words")
    machine.losses = 1
    with pytest.raises(LabError, match="was lost"):
        bench.boot(machine, 0.3)
    assert machine.did[-2:] == ["off", "end"]
    machine.boots = lambda: console(xen="none")
    bench.console.unlink()
    assert bench.boot(machine).how == "finished"


def test_a_console_that_is_gone_ends_the_boot(bench: Bench) -> None:
    machine = Machine(lambda: b"words")
    machine.problem = "b1: its console is gone"
    with pytest.raises(LabError, match=r"^b1: its console is gone$"):
        bench.boot(machine, 60)
    assert machine.did[-1] == "off"


def test_a_flood_is_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_board, "MOST_BYTES", 1000)
    assert bench.boot(Machine(lambda: b"words\n" * 1000)).how == "flooded"


def test_a_person_ends_it(bench: Bench) -> None:
    bench.stop.set()
    machine = Machine(bytes)
    assert bench.boot(machine).how == "interrupted"
    assert machine.did[-2:] == ["off", "end"]


def test_a_record_after_a_lot_of_other_words_is_seen(bench: Bench) -> None:
    noise = b"a driver says something\r\n" * 4000
    machine = Machine(lambda: noise + console(xen="none") + b"reboot: Power down\r\n")
    ending = bench.boot(machine)
    assert ending.how == "finished"
    assert ending.boot_seconds is not None


def test_what_is_booted_is_described_before_it(bench: Bench) -> None:
    said = bench.place(Machine(bytes)).describe(bench.task(), bench.console)
    again = bench.place(Machine(bytes))
    assert said["board"] == "b1"
    words = "/kernel initrd=ramdisk console=ttyS1,9600n8 panic=1 mmx.run=cafe || exit"
    assert said["ipxe"][1].endswith(words)
    assert said["ipxe"] != again.describe(bench.task(), bench.console)["ipxe"]  # a new token
    assert all("cafe" not in line.split()[1] for line in said["ipxe"][1:])  # not in a path
    dom0 = again.describe(bench.task("dom0"), bench.console)
    assert again.make_boot(bench.task("dom0")) == again.make_boot(bench.task("dom0"))
    assert [line.split()[0] for line in dom0["ipxe"]] == [
        "#!ipxe", "kernel", "module", "module", "boot",
    ]  # fmt: skip
    assert " console=hvc0 " in dom0["ipxe"][2]
    assert list(dom0["files"]) == ["xen", "kernel", "ramdisk"]


def test_xen_speaks_on_the_boards_port(bench: Bench) -> None:
    assert xen_words(bench.config.boards["b1"], bench.task("dom0"), "ucode=no") == (
        "console=com2 com2=9600,8n1 dom0_mem=256M,max:256M dom0_max_vcpus=1 "
        "noreboot=0 lab=cafe ucode=no"
    )


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_a_boards_boot_line_and_deadline_do_not_depend_on_qemu(
    bench: Bench, accelerator: str
) -> None:
    supplies = replace(bench.supplies, accel=Accel(accelerator, ""))
    job = Job(bench.config, supplies, RunFolder(bench.folder), Progress(), bench.stop)
    cell = bench.task().cell
    facts = gather_facts(cell, 1, bench.config)
    task = make_assignment(job, cell, facts, Asked(0, 0))
    assert facts.board == "b1"
    assert not job.accelerated(cell)
    assert not job.emulates(cell)
    assert task.deadline.seconds == 480 + 10 * bench.config.stress.seconds
    assert task.args.endswith(" maxcpus=1")
    assert "no_timer_check" not in task.args
