# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot by a board's own GRUB, with a script in the place of the board and its system."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from lab.config.board import BoardConfig
from lab.config.cells import Cell
from lab.console.watch import Ending
from lab.errors import LabError
from lab.host import grub
from lab.host.grub import Grub, Loaded
from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable, Kernel
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.report.board import Board as Progress
from lab.supplies.gather import Supplies
from lab.system.deadline import Deadline
from lab.trial import board as trial_board
from lab.trial.assignment import Assignment
from lab.trial.goodsystem import ComesBack
from lab.trial.grubboard import GrubPlace
from lab.xen.hypervisor import Xen
from tests.helpers.consoles import console
from tests.helpers.hostkeys import ED25519
from tests.helpers.scripted import Machine

OWN = Loaded("/vmlinuz", "/initrd", "root=/dev/sda1 ro")


class Good:
    """The board's own system. ``answers``: what each look for its ssh sees."""

    name = "b1"
    shell = None

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.answers = [True]

    def bring_up(self, _report: Any) -> None:
        self.machine.did.append("bring up")

    def greets(self) -> bool:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Bench:
    """A place whose GRUB is a script: the boot writes the machine's console."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
        self.folder, self.machine, self.good = folder, machine, Good(machine)
        self.left = ""  # next_entry as it is found
        self.forgot = 0
        self.entries: list[str] = []
        for name in ("kernel", "ramdisk", "xen"):
            (folder / name).write_bytes(b"x")
        monkeypatch.setattr(grub, "read_grub", self.read)
        monkeypatch.setattr(grub, "put_file", lambda _s, path, _f, _g: f"/lab/{path.name}")
        monkeypatch.setattr(grub, "forget", self.forget)
        monkeypatch.setattr(grub, "boot_once", self.boot_once)
        monkeypatch.setattr(ComesBack, "_EVERY", 0.0)
        bootable = Bootable(Kernel("old", folder / "kernel"), BzImage("3.19.8", True, False))
        supplies = Supplies(
            Qemu(Path("/qemu"), "7.2.0", (), ""), Accel("tcg", ""), folder, folder,
            {"old": bootable}, Xen(folder / "xen", "xen", "4.17"), None,
        )  # fmt: skip
        power = {"kind": "command", "on": ["a"], "off": ["b"], "status": ["c"]}
        config = BoardConfig.model_validate({
            "power": power, "console": {"kind": "tcp", "address": "x", "port": 1},
            "boot": {"kind": "grub"}, "serial": "com2", "speed": 9600,
            "ssh": {"address": "x", "host_key": f"ssh-ed25519 {ED25519}"},
        })  # fmt: skip
        good: Any = self.good
        self.place = GrubPlace(machine, good, config, supplies, "ucode=no")

    def read(self, *_: Any) -> Grub:
        return Grub("/boot/grub", "grub-editenv", "/lab", OWN, self.left)

    def forget(self, *_: Any) -> None:
        self.forgot += 1

    def boot_once(self, _shell: Any, _found: Grub, token: str, text: str, _name: str) -> None:
        self.machine.did.append("reboot")
        self.entries.append(grub.entry_id(token))
        assert "cafe" not in self.entries[-1]
        assert "mmx.run=cafe" in text
        with self.machine.path.open("ab") as out:
            out.write(self.machine.boots())

    def boot(self, guest: Any = "native", seconds: float = 20) -> Ending:
        path = self.folder / "console.log"
        return self.place.boot(self.task(guest, seconds), path, Progress(), threading.Event())

    def task(self, guest: Any = "native", seconds: float = 20) -> Assignment:
        cell = Cell(f"{guest}-old@rack1", guest, "old", host="rack1", board="b1")
        return Assignment(
            cell, self.folder / "kernel", self.folder / "ramdisk", "panic=1 mmx.run=cafe", 256,
            "cafe", Deadline(seconds), 1,
        )  # fmt: skip


def test_its_own_system_reboots_into_the_entry_and_the_board_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch, Machine(lambda: console(xen="none")))
    ending = bench.boot()
    assert ending.how == "finished"
    assert bench.machine.did == ["bring up", "follow", "reboot", "off", "end"]
    assert bench.forgot == 0


def test_its_own_system_that_answers_again_ends_the_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_board, "_COME_BACK_GRACE", 0.1)
    bench = Bench(tmp_path, monkeypatch, Machine(lambda: b"error: file not found.\r\n"))
    bench.good.answers = [True, True, False, False, True]
    ending = bench.boot()
    assert (ending.how, ending.detail) == ("exited", "its own system answered again")
    assert bench.machine.did[-2:] == ["off", "end"]


def test_its_own_system_that_has_not_gone_yet_is_not_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch, Machine(bytes))
    assert bench.boot(seconds=0.5).how == "deadline"


def test_an_entry_of_a_killed_lab_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch, Machine(lambda: console(xen="none")))
    bench.left = "lab-000000000000"
    assert bench.boot().how == "finished"
    assert bench.forgot == 1


def test_an_entry_that_was_not_cleared_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch, Machine(lambda: console(xen="none")))
    bench.boot()
    bench.left = bench.entries[0]
    with pytest.raises(LabError, match="b1: GRUB does not clear next_entry") as caught:
        bench.boot()
    assert "\n" not in str(caught.value)
    assert len(bench.entries) == 1
    assert bench.forgot == 1


def test_what_is_booted_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch, Machine(bytes))
    said = bench.place.describe(bench.task("dom0"), tmp_path)
    assert (said["board"], said["boot"]) == ("b1", "grub")
    assert list(said["files"]) == ["kernel", "ramdisk", "xen"]
    assert said["args"]["xen"].endswith("lab=cafe ucode=no")
    native = bench.place.describe(bench.task(), tmp_path)
    assert native["args"] == {"kernel": "console=ttyS1,9600n8 panic=1 mmx.run=cafe"}
