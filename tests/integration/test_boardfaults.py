# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes wrong around a board in the middle of a run: the verdict, one sentence, and that the
board can be used afterwards. One rig for all of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.board import console as console_module
from lab.board.board import open_board
from lab.board.lock import find_holder
from lab.board.netboot import NetBootServer
from lab.config.cells import cells
from lab.config.load import parse
from lab.errors import LabError
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable
from lab.kernel.resolve import resolve
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.report.board import Board as Progress
from lab.supplies.gather import Supplies, make_ramdisk
from lab.supplies.program import program
from lab.system.deadline import Deadline
from lab.trial.board import BoardPlace
from lab.trial.job import Job
from lab.trial.trial import run_trial
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked
from tests.helpers.metal import OWN_WORDS, Metal, open_metal
from tests.helpers.project import PROJECT
from tests.helpers.rig import MAC

pytestmark = pytest.mark.boots
LOGIN = OWN_WORDS.splitlines()[-1].strip()
DOM0 = "dom0-control-bad@rack1"


@pytest.fixture(scope="module")
def metal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metal]:
    with open_metal(tmp_path_factory.mktemp("metal")) as made:
        yield made


def write_config(metal: Metal, folder: Path, boot_seconds: int = 120, **power: Any) -> Path:
    board = metal.describe()
    board["power"] |= power
    path = folder / "lab.yaml"
    text = {
        "boards": {"rack": board},
        "hosts": {"rack1": {"board": "rack", "boot_seconds": boot_seconds}},
        "kernels": {"control-bad": {"control": "bad", "args": "no_timer_check"}},
        "matrix": {"guests": ["native", "dom0"], "hosts": ["rack1"]},
        "stress": {"seconds": 2},
        "trials": 1,
        "expect": {"corrupts": ["dom0-*"], "clean": ["native-*"]},
    }
    path.write_text(yaml.safe_dump(text))
    return path


class Boot:
    """One native boot of the stress program, as a run's: its verdict, and what giving the board
    back said.
    """

    def __init__(self, metal: Metal, path: Path, during: Callable[[Path], None]) -> None:
        config = parse(path.read_text(), path)
        cell = next(cell for cell in cells(config) if cell.guest == "native")
        kernel = resolve("control-bad", config.kernels["control-bad"], lambda _state: None).kernel
        disk = make_ramdisk(program(64))
        supplies = Supplies(
            Qemu(Path("/qemu"), "7.2.0", ("native",), "unused"), Accel("tcg", "unused"), disk, disk,
            {"control-bad": Bootable(kernel, BzImage("6.1", True, False))}, None, None,
        )  # fmt: skip
        folder = RunFolder.create(path.parent)
        job = Job(config, supplies, folder, Progress(), threading.Event())
        board, console = config.boards["rack"], folder.trial(cell.id, 1).console
        meanwhile = threading.Thread(target=during, args=[console])
        self.verdict: TrialVerdict | None = None
        self.left = ""
        serving = NetBootServer("127.0.0.1", metal.port, [MAC])
        meanwhile.start()
        try:
            with serving as server, open_board("rack", board) as machine:
                place = BoardPlace(machine, "rack", board, supplies, server)
                self.verdict = run_trial(job, cell, 1, place, Asked(0, 0))
        except LabError as error:
            self.left = str(error)
        meanwhile.join()
        self.path = console.parent

    def check(self, said: str) -> None:
        """It is the lab's fault, in a sentence that has these words."""
        assert self.verdict is not None
        assert self.verdict.verdict is Verdict.LAB_ERROR
        assert said in self.verdict.reason
        assert "\n" not in self.verdict.reason


def nothing(_console: Path) -> None:
    """Happens meanwhile."""


def await_words(console: Path, words: bytes) -> None:
    Deadline(120).wait_for(
        lambda: console.is_file() and words in console.read_bytes(), repr(words), every=0.02
    )


def check_usable(metal: Metal, folder: Path) -> None:
    """Switched on it shows its own system, and it is off afterwards."""
    path = folder / "own.log"
    config = metal.rig.config
    serving = NetBootServer("127.0.0.1", metal.port, [MAC])
    with serving, open_board("rack", config) as machine, machine.console.follow(path):
        machine.power.on()
        await_words(path, LOGIN)
    assert find_holder(config) == (None, False)
    assert metal.rig.ipmitool("power", "status").endswith("off")


def test_a_bmc_that_is_gone_in_the_middle(metal: Metal, tmp_path: Path) -> None:
    """Its machine runs on: nobody can switch it off, and the next one who opens the board does."""

    def pause(console: Path) -> None:
        await_words(console, b"@mmx 0 start")
        metal.rig.pause("bmc")

    try:
        boot = Boot(metal, write_config(metal, tmp_path, seconds=8), pause)
    finally:
        metal.rig.pause("bmc", stopped=False)
    boot.check("rack: ")
    assert boot.verdict is not None
    assert any(said in boot.verdict.reason for said in ("did not answer", "does not answer"))
    assert boot.left.startswith("rack: ")
    holder, alive = find_holder(metal.rig.config)
    assert holder is not None
    assert (holder.powered, alive) == (True, False)
    check_usable(metal, tmp_path)


def test_a_console_that_is_gone_in_the_middle(
    metal: Metal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_module, "_MOST_LOST_SECONDS", 5.0)

    def kill(console: Path) -> None:
        await_words(console, b"Linux version")
        metal.rig.kill("ser2net")

    try:
        boot = Boot(metal, write_config(metal, tmp_path), kill)
    finally:
        metal.rig.start_console()
    boot.check("rack: its console (rfc2217 127.0.0.1 port ")
    boot.check(" is gone after ")
    assert "lost after " in (boot.path / "console.notes").read_text()
    check_usable(metal, tmp_path)


def test_a_machine_that_is_off_while_its_bmc_says_on(metal: Metal, tmp_path: Path) -> None:
    (metal.rig.folder / "dead").touch()
    boot = Boot(metal, write_config(metal, tmp_path, boot_seconds=10), nothing)
    (metal.rig.folder / "dead").unlink()
    boot.check("the board rack said nothing at all (stopped at the deadline after ")
    boot.check("it never asked the lab what to boot")
    check_usable(metal, tmp_path)


def test_power_that_stays_on(metal: Metal, tmp_path: Path) -> None:
    def stick(console: Path) -> None:
        await_words(console, b"Linux version")
        (metal.rig.folder / "stuck").touch()

    boot = Boot(metal, write_config(metal, tmp_path, seconds=8), stick)
    (metal.rig.folder / "stuck").unlink()
    boot.check(
        "rack: it was switched off, and after 8 s its power control still says that it is on"
    )
    check_usable(metal, tmp_path)


def test_a_wrong_password(metal: Metal, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("wrong horse\n")
    boot = Boot(metal, write_config(metal, tmp_path, password_file=str(wrong)), nothing)
    boot.check("refuses user 'lab'")
    assert boot.verdict is not None
    assert "wrong horse" not in boot.verdict.reason
    check_usable(metal, tmp_path)


def lab(*words: object) -> list[str]:
    return [sys.executable, "-m", "lab", *map(str, words)]


def run_to_end(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        lab(*words), cwd=PROJECT, capture_output=True, text=True, timeout=900, check=False
    )


def test_two_labs_want_one_board(metal: Metal, tmp_path: Path) -> None:
    """The second learns who has it, and the first is not disturbed."""
    path = write_config(metal, tmp_path)
    with open_board("rack", metal.rig.config) as machine:
        machine.power.on()
        done = run_to_end("run", DOM0, "-c", path)
        assert machine.power.is_on()
    assert done.returncode == Exit.LAB_ERROR
    assert f"rack is held by another lab: pid {os.getpid()} of " in done.stdout
    check_usable(metal, tmp_path)


class Killed:
    """A run of one cell that is killed again and again, and resumed."""

    def __init__(self, metal: Metal, folder: Path) -> None:
        self.metal, self.rig = metal, metal.rig
        self.results = folder / "results"
        self.config = write_config(metal, folder)
        self.begun = False

    def words(self) -> list[str]:
        if self.begun:
            return lab("run", "--resume", self.results / "latest")
        return lab("run", DOM0, "-c", self.config, "--results", self.results)

    def events(self) -> list[str]:
        """What the BMC was sent."""
        path = self.rig.folder / "bmc.events"
        return path.read_text().split() if path.exists() else []

    def newest(self, name: str) -> Path:
        """Of the newest boot."""
        folder = (self.results / "latest").resolve() / "cells" / DOM0
        numbers = [int(p.name) for p in folder.glob("[0-9]*")]
        return folder / str(max(numbers, default=0)) / name

    def read(self, name: str) -> bytes:
        with contextlib.suppress(OSError):
            return self.newest(name).read_bytes()
        return b""

    def kill_at(self, reached: Callable[[Killed, Seen], bool]) -> None:
        """kill -9 as soon as a step is seen from outside."""
        seen = Seen(len(self.events()), self.newest(""))
        with subprocess.Popen(self.words(), cwd=PROJECT, stdout=subprocess.DEVNULL) as process:
            deadline = Deadline(180)
            while not reached(self, seen):
                assert process.poll() is None, "it ended before the step"
                assert not deadline.expired
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)
        self.begun = self.begun or (self.results / "latest" / "plan.json").exists()


class Seen:
    """What there was before a run began."""

    def __init__(self, events: int, trial: Path) -> None:
        self.events, self.trial = events, trial


def is_held(killed: Killed, _seen: Seen) -> bool:
    return find_holder(killed.rig.config)[1]


def has(name: str, words: bytes) -> Callable[[Killed, Seen], bool]:
    """A file of this boot's has these words."""

    def look(killed: Killed, seen: Seen) -> bool:
        path = killed.newest(name)
        return path.parent != seen.trial and path.exists() and words in killed.read(name)

    return look


def sent(word: str) -> Callable[[Killed, Seen], bool]:
    """The BMC was sent this word, in this boot."""
    return lambda killed, seen: (
        has("netboot.log", b"")(killed, seen) and word in killed.events()[seen.events :]
    )


def is_about_to_switch_off(killed: Killed, seen: Seen) -> bool:
    """After the last record the BMC was sent "off", which it does not do."""
    if not has("console.log", b"@mmx 0 start ")(killed, seen):
        return False
    (killed.rig.folder / "stuck").touch()
    return killed.events()[-1] == "off"


# Every step of a boot that can be seen from outside, in their order.
STEPS: dict[str, Callable[[Killed, Seen], bool]] = {
    "lock taken": is_held,
    "offer made": has("netboot.log", b""),
    "switched off": sent("off"),
    "switched on": sent("on"),
    "script given": has("netboot.log", b" the script\n"),
    "first byte": lambda killed, seen: (
        has("console.log", b"")(killed, seen) and bool(killed.read("console.log"))
    ),
    "first record": has("console.log", b"@mmx 0 start "),
    "last record": has("console.log", b" end t="),
    "before final off": is_about_to_switch_off,
}
# A boot that came to its records may have settled the cell: the run is brought to its end.
ENDS = ("first record", "last record", "before final off")


@pytest.fixture(scope="module")
def killed(metal: Metal, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    return Killed(metal, tmp_path_factory.mktemp("killed"))


@pytest.mark.parametrize("step", STEPS)
def test_a_controller_that_is_killed(killed: Killed, step: str) -> None:
    """At each step of a boot. The next step's test resumes the run of this one."""
    before = len(killed.events())
    killed.kill_at(STEPS[step])
    (killed.rig.folder / "stuck").unlink(missing_ok=True)
    is_on = killed.rig.ipmitool("power", "status").endswith("on")
    listed = run_to_end("board", "list", "-c", killed.config).stdout
    assert ("left by a lab that is dead" in listed) or ("nobody has it" in listed and not is_on)
    assert len(killed.events()) == before or killed.events()[before] == "off"
    if step not in ENDS:
        return
    done = run_to_end(*killed.words()[3:])
    assert done.returncode == 0, done.stdout
    found = RunFolder.open(killed.results / "latest").summary()
    assert [(cell["cell"], cell["verdict"]) for cell in found] == [(DOM0, "CORRUPTS")]
    assert killed.rig.ipmitool("power", "status").endswith("off")
    assert "nobody has it" in run_to_end("board", "list", "-c", killed.config).stdout
    killed.begun = False
