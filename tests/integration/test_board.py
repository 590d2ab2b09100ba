# SPDX-License-Identifier: GPL-2.0-or-later
"""A board in the loop: real IPMI, a real serial line and RFC 2217, and what can go wrong with them.

The machine is a QEMU (tests/helpers/rig.py); ipmitool is the second, independent client.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.board.board import open_board
from lab.board.console import NOTES, Console
from lab.board.lock import find_holder
from lab.board.power import Power
from lab.config.board import BoardConfig
from lab.console.records import parse
from lab.errors import LabError
from lab.exitcodes import Exit
from lab.kernel.control import build_control
from lab.qemu import accelerator as accel
from lab.qemu import binary, options
from lab.supplies.program import program
from lab.supplies.ramdisk import ramdisk
from lab.system.deadline import Deadline
from tests.helpers.project import PROJECT
from tests.helpers.redfish import RedfishRig
from tests.helpers.rig import MAC, PASSWORD, Rig, open_rig

pytestmark = pytest.mark.boots
BOOT_SECONDS = 180  # it takes about 5 on a quiet machine


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A q35 with a network card that boots the control kernel and the stress program."""
    qemu = binary.find()
    way = accel.decide(qemu).name
    disk = tmp_path_factory.mktemp("machine") / "ramdisk"
    disk.write_bytes(ramdisk(program(64).read_bytes()))
    words = "console=ttyS0,115200 panic=1 mmx.run=b0a4d mmx.seconds=5 mmx.checks=1 mmx.at_least=1"
    return [
        str(qemu.path), "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
        "-accel", way, "-cpu", options.cpu(way), "-m", "256",
        "-netdev", "user,id=n,restrict=on", "-device", f"e1000,netdev=n,mac={MAC}",
        "-kernel", str(build_control("bad", print).image), "-initrd", str(disk), "-append", words,
    ]  # fmt: skip


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Its machine's processor stands still: only power matters."""
    idle = ["-nodefaults", "-display", "none", "-machine", "q35", "-m", "64", "-S"]
    with open_rig(tmp_path, [str(binary.find().path), *idle]) as rig:
        yield rig


@pytest.fixture
def booting(tmp_path: Path, machine: list[str]) -> Iterator[Rig]:
    with open_rig(tmp_path, machine) as rig:
        yield rig


@pytest.fixture
def redfish(tmp_path: Path, machine: list[str]) -> Iterator[RedfishRig]:
    value = dict(itertools.pairwise(machine))
    parts = [machine[0], value["-kernel"], value["-initrd"], value["-append"]]
    rig = RedfishRig(tmp_path, parts)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


def write_config(rig: Rig, folder: Path) -> Path:
    path = folder / "lab.yaml"
    content = {"kernels": {"k": {"control": "bad"}}, "boards": {"rack1": rig.describe()}}
    path.write_text(yaml.safe_dump(content))
    return path


def lab(*words: str | Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **({"LAB_CACHE": str(home)} if home else {})}
    return subprocess.run(
        [sys.executable, "-m", "lab", "board", *map(str, words)],
        cwd=PROJECT, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def wait_for_end(console: Path, begin: int = 0) -> None:
    """Until the program's last record after so many bytes."""
    Deadline(BOOT_SECONDS).wait_for(
        lambda: parse(console.read_bytes()[begin:]).last("end") is not None, "the last record"
    )


def test_power_as_ipmitool_sees_it(rig: Rig) -> None:
    with open_board("rack1", rig.config) as board:
        assert not board.power.is_on()
        assert rig.ipmitool("power", "status") == "Chassis Power is off"
        board.power.on()
        assert board.power.is_on()
        assert rig.ipmitool("power", "status") == "Chassis Power is on"
        board.power.cycle()
        assert rig.ipmitool("power", "status") == "Chassis Power is on"
        board.power.off()
        assert rig.ipmitool("power", "status") == "Chassis Power is off"
        rig.ipmitool("power", "on")
        assert board.power.is_on()
        board.power.off()


def test_the_console_is_what_the_machine_wrote_byte_for_byte(booting: Rig, tmp_path: Path) -> None:
    """Two boots on one line: a power cycle does not disturb it."""
    console = tmp_path / "console.log"
    with open_board("rack1", booting.config) as board, board.console.follow(console) as following:
        board.power.on()
        following.wait_for_bytes(Deadline(60))
        wait_for_end(console)
        size = following.size
        board.power.cycle()
        wait_for_end(console, size)
        board.power.off()
    assert console.read_bytes() == booting.direct.read_bytes()
    assert console.read_bytes().count(b"Linux version") == 2
    assert not (tmp_path / NOTES).exists()


def test_any_bytes_go_through_a_terminal_server(rig: Rig, tmp_path: Path) -> None:
    """Also those that telnet gives a meaning: 255 and a carriage return before a zero."""
    sent = bytes(range(256)) * 300 + b"\xff\xff\r\n\0\r\0\xff\xfa\xff\xf0"
    console = tmp_path / "console.log"
    with (
        Console("rack1", rig.config).follow(console) as following,
        (tmp_path / "near").open("wb", buffering=0) as line,
    ):
        rest = memoryview(sent)
        while rest:
            rest = rest[line.write(rest) or 0 :]
        Deadline(60).wait_for(lambda: following.size >= len(sent), "all bytes")
    assert console.read_bytes() == sent


def test_a_board_that_was_left_on_by_an_error_is_switched_off(rig: Rig) -> None:
    def fail() -> None:
        with open_board("rack1", rig.config) as board:
            board.power.on()
            raise LabError("on purpose")

    with pytest.raises(LabError, match="on purpose"):
        fail()
    assert rig.ipmitool("power", "status") == "Chassis Power is off"
    assert find_holder(rig.config) == (None, False)


def test_a_wrong_password_is_one_sentence_without_it(rig: Rig) -> None:
    rig.password.write_text("hunter2\n")
    with open_board("rack1", rig.config) as board, pytest.raises(LabError) as caught:
        board.power.is_on()
    said = str(caught.value)
    assert said.startswith("rack1: the BMC at 127.0.0.1 port ")
    assert "refuses user 'lab' as operator" in said
    assert "hunter2" not in said
    assert PASSWORD not in said


def test_a_bmc_that_goes_away_is_one_sentence(rig: Rig) -> None:
    def lose() -> None:
        with open_board("rack1", rig.config) as board:
            board.power.on()
            rig.kill("bmc")
            board.power.off()

    began = time.monotonic()
    with pytest.raises(LabError, match=r"^rack1: the BMC at .* does not answer IPMI"):
        lose()
    assert time.monotonic() - began < 100
    holder, alive = find_holder(rig.config)  # nobody knows whether it is off: the next one asks
    assert holder is not None
    assert not alive or holder.pid == os.getpid()


def test_a_bmc_that_says_on_whatever_is_asked(rig: Rig) -> None:
    (rig.folder / "stuck").touch()
    assert rig.ipmitool("power", "status") == "Chassis Power is on"
    with open_board("rack1", rig.config) as board:
        with pytest.raises(LabError, match=r"^rack1: it was switched off, and after 20 s its "):
            board.power.off()
        board.power.on()  # the BMC has nothing against it
        with (
            board.console.follow(rig.folder / "console.log") as following,
            pytest.raises(LabError, match="stayed silent for 2 s: the machine is off or dead"),
        ):
            following.wait_for_bytes(Deadline(2))
        (rig.folder / "stuck").unlink()
    assert rig.ipmitool("power", "status") == "Chassis Power is off"


def test_a_console_that_goes_and_comes_back(booting: Rig, tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    with open_board("rack1", booting.config) as board, board.console.follow(console) as following:
        board.power.on()
        Deadline(60).wait_for(lambda: following.size > 2000, "the kernel's first lines")
        booting.kill("ser2net")
        Deadline(20).wait_for(lambda: not following.connected, "the loss to be noticed")
        before = console.read_bytes()
        booting.start_console()
        Deadline(60).wait_for(lambda: following.connected, "the console to be back")
        board.power.cycle()
        wait_for_end(console, len(before))
        board.power.off()
    assert booting.direct.read_bytes().startswith(before)
    assert console.read_bytes().startswith(before)
    lines = (tmp_path / NOTES).read_text().splitlines()
    assert f"lost after {len(before)} bytes" in lines[0]
    assert "open again" in lines[1]


def test_a_console_that_is_not_there_is_one_sentence(rig: Rig, tmp_path: Path) -> None:
    rig.kill("ser2net")
    with (
        open_board("rack1", rig.config) as board,
        pytest.raises(LabError, match=r"^rack1: its console \(rfc2217 127\.0\.0\.1 port \d+\)"),
        board.console.follow(tmp_path / "console.log"),
    ):
        pass


def test_two_labs_want_one_board(rig: Rig, tmp_path: Path) -> None:
    """With a cache each: the lock is the machine's."""
    config = write_config(rig, tmp_path)
    with open_board("rack1", rig.config) as board:
        board.power.on()
        for action in ("on", "off", "console"):
            done = lab(action, "rack1", "-c", config, home=tmp_path / "other")
            assert done.returncode == Exit.LAB_ERROR
            assert f"lab: rack1 is held by another lab: pid {os.getpid()} of " in done.stderr
        done = lab("status", "rack1", "-c", config, home=tmp_path / "other")
        assert done.returncode == Exit.OK
        assert f"rack1 is on; held by pid {os.getpid()} of " in done.stdout
        board.power.off()


HOLDER = """
import json, sys, time
from pathlib import Path
from lab.board.board import open_board
from lab.config.board import BoardConfig
from lab.console.records import parse
with open_board("rack1", BoardConfig.model_validate_json(sys.argv[1])) as board:
    board.power.on()
    print("on", flush=True)
    time.sleep(600)
"""


def kill_a_holder(config: BoardConfig) -> int:
    """Another process takes the board, switches it on and is killed; its number."""
    words = [sys.executable, "-c", HOLDER, json.dumps(config.model_dump(mode="json"))]
    with subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"
        os.kill(process.pid, signal.SIGKILL)
    return process.pid


def test_the_board_of_a_killed_lab_is_freed_by_the_next(rig: Rig, tmp_path: Path) -> None:
    config = write_config(rig, tmp_path)
    pid = kill_a_holder(rig.config)
    assert rig.ipmitool("power", "status") == "Chassis Power is on"
    listed = lab("list", "-c", config)
    assert f"left by a lab that is dead (pid {pid} of " in listed.stdout
    done = lab("off", "rack1", "-c", config)
    assert done.returncode == Exit.OK, done.stderr
    assert f"rack1 had been left by a lab that is dead: pid {pid} of " in done.stdout
    assert rig.ipmitool("power", "status") == "Chassis Power is off"
    assert "nobody has it" in lab("list", "-c", config).stdout

    pid = kill_a_holder(rig.config)
    with open_board("rack1", rig.config) as board:
        assert board.left is not None
        assert board.left.pid == pid
        assert rig.ipmitool("power", "status") == "Chassis Power is off"


def test_the_commands_as_they_are_typed(rig: Rig, tmp_path: Path) -> None:
    config = write_config(rig, tmp_path)
    assert "rack1 is off; nobody has it" in lab("status", "rack1", "-c", config).stdout
    done = lab("on", "rack1", "-c", config)
    assert done.returncode == Exit.OK, done.stderr
    assert rig.ipmitool("power", "status") == "Chassis Power is on"
    assert "rack1 is on; nobody has it" in lab("status", "rack1", "-c", config).stdout
    assert lab("off", "rack1", "-c", config).returncode == Exit.OK
    assert rig.ipmitool("power", "status") == "Chassis Power is off"
    done = lab("status", "rack2", "-c", config)
    assert done.returncode == Exit.BAD_INPUT
    assert done.stderr == "lab: there is no board 'rack2' under 'boards:' of lab.yaml (rack1)\n"


def test_the_console_on_a_terminal(booting: Rig, tmp_path: Path) -> None:
    config = write_config(booting, tmp_path)
    words = [sys.executable, "-m", "lab", "board", "console", "rack1", "-c", str(config)]
    shown = tmp_path / "shown"
    with shown.open("wb") as out, subprocess.Popen(words, cwd=PROJECT, stdout=out) as process:
        try:
            Deadline(60).wait_for(lambda: find_holder(booting.config)[1], "the board to be held")
            time.sleep(3)  # for the terminal server, which a reader cannot be asked about
            booting.ipmitool("power", "on")
            Deadline(BOOT_SECONDS).wait_for(
                lambda: b"Power down" in shown.read_bytes(), "the console's last line"
            )
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == Exit.OK
    lines = [line for line in shown.read_bytes().splitlines() if line]
    direct = booting.direct.read_bytes().splitlines()
    assert lines[-1] == direct[-1]
    assert set(lines) <= set(direct)
    assert b"\x1b" not in shown.read_bytes()
    assert find_holder(booting.config) == (None, False)


def test_a_board_by_redfish_and_raw_tcp(redfish: RedfishRig, tmp_path: Path) -> None:
    """Seen the same by a client of the standard library."""
    console = tmp_path / "console.log"
    with open_board("rack2", redfish.config) as board, board.console.follow(console) as following:
        assert not board.power.is_on()
        assert redfish.power_state() == "Off"
        board.power.on()
        assert redfish.power_state() == "On"
        following.wait_for_bytes(Deadline(60))
        wait_for_end(console)
        size = following.size
        board.power.cycle()
        wait_for_end(console, size)
        board.power.off()
        assert redfish.power_state() == "Off"
        assert not board.power.is_on()
    assert console.read_bytes() == redfish.direct.read_bytes()


def test_what_a_redfish_bmc_refuses_is_one_sentence(redfish: RedfishRig) -> None:
    power = redfish.describe()["power"]
    for change, said in (
        ({"ca_file": None}, "the certificate of the BMC at https://.* is not known"),
        ({"system": "/redfish/v1/Systems/none"}, "has no system /redfish/v1/Systems/none"),
        ({"user": "nobody"}, "refuses user 'nobody': check user and password"),
    ):
        config = BoardConfig.model_validate(redfish.describe(power={**power, **change}))
        with pytest.raises(LabError, match=f"^rack2: .*{said}") as caught:
            Power("rack2", config.power).is_on()
        assert "\n" not in str(caught.value)
        assert PASSWORD not in str(caught.value)
    redfish.kill("bmc")
    with pytest.raises(LabError, match=r"^rack2: the BMC at https://.* does not answer Redfish$"):
        Power("rack2", redfish.config.power).is_on()
