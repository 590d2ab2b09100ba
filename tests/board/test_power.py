# SPDX-License-Identifier: GPL-2.0-or-later
"""Switching: until the switch itself says so, with a deadline, in a process of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from lab.board import power as module
from lab.board.power import Power
from lab.board.switch import act, answer
from lab.config.board import IpmiPower
from lab.config.board import Power as PowerConfig
from lab.config.password import read_password
from lab.errors import LabError, UserError
from lab.system.deadline import Deadline


class FakeClock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 0.0

    def deadline(self, seconds: float) -> Deadline:
        return Deadline(seconds, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeSwitch:
    """Obeys the word that comes as number ``deaf`` (from 0), and those after it."""

    def __init__(self, deaf: int = 0, on: bool = False) -> None:
        self.words: list[bool] = []
        self._deaf = deaf
        self._on = on

    def is_on(self) -> bool:
        return self._on

    def turn(self, on: bool) -> None:
        self.words.append(on)
        if len(self.words) > self._deaf:
            self._on = on

    def close(self) -> None:
        """Nothing is open."""


def test_a_word_is_sent_also_where_it_is_so_already() -> None:
    switch = FakeSwitch(on=True)
    assert act(switch, "on", FakeClock().deadline(20)) is True
    assert switch.words == [True]


def test_a_word_that_was_dropped_is_sent_again() -> None:
    switch = FakeSwitch(deaf=1)
    assert act(switch, "on", FakeClock().deadline(60)) is True
    assert switch.words == [True, True]


def test_a_switch_that_never_obeys_is_one_sentence() -> None:
    clock = FakeClock()
    said = "switched off, and after 20 s its power control still says that it is on"
    with pytest.raises(LabError, match=said):
        act(FakeSwitch(deaf=99, on=True), "off", clock.deadline(20))
    assert 20 <= clock.now < 22


def test_asking_switches_nothing() -> None:
    switch = FakeSwitch(on=True)
    assert act(switch, "is_on", FakeClock().deadline(1)) is True
    assert switch.words == []


def command(folder: Path, **changes: Any) -> PowerConfig:
    state = folder / "state"
    words = {
        "on": ["sh", "-c", f"echo on > {state}"], "off": ["sh", "-c", f"echo off > {state}"],
        "status": ["sh", "-c", f"cat {state} || echo off"], "seconds": 5,
    }  # fmt: skip
    return read_config({"kind": "command", **words, **changes})


def ask(config: PowerConfig, action: str, password: str | None = None) -> dict[str, Any]:
    """What the process for one switching would print."""
    power = config.model_dump(mode="json")
    return answer({"power": power, "password": password, "action": action, "seconds": 5})


def read_config(value: dict[str, Any]) -> PowerConfig:
    found: PowerConfig = TypeAdapter(PowerConfig).validate_python(value)
    return found


def test_a_board_is_switched_by_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAINS_PAUSE_SECONDS", 0.1)
    noted: list[bool] = []
    power = Power("rack1", command(tmp_path), noted.append)
    assert not power.is_on()
    power.on()
    assert power.is_on()
    power.cycle()
    assert power.is_on()
    power.off()
    assert not power.is_on()
    assert noted == [True, False, True, False]


def test_that_it_may_be_on_is_noted_even_if_switching_fails(tmp_path: Path) -> None:
    noted: list[bool] = []
    power = Power(
        "rack1", command(tmp_path, on=["sh", "-c", "echo no relay >&2; exit 3"]), noted.append
    )
    with pytest.raises(LabError, match=r"^rack1: sh failed \(3\): no relay$"):
        power.on()
    assert noted == [True]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (["echo", "who knows"], "should print on or off, it printed 'who knows'"),
        (["/nowhere"], "the command '/nowhere' is not installed"),
    ],
)
def test_a_status_that_says_nothing_is_one_sentence(
    tmp_path: Path, status: list[str], said: str
) -> None:
    assert said in ask(command(tmp_path, status=status), "is_on")["error"]


def test_a_switch_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.0)
    power = Power("rack1", command(tmp_path, status=["sleep", "99"], seconds=2))
    began = time.monotonic()
    with pytest.raises(LabError, match=r"^rack1: .*(did not answer within|took more than) 2 s"):
        power.is_on()
    assert time.monotonic() - began < 20


class Relay(BaseHTTPRequestHandler):
    """What labgrid's back end `rest` speaks to: an outlet behind a login."""

    state = "0"
    login = ""

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        Relay.state = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer()

    def _answer(self) -> None:
        Relay.login = self.headers.get("Authorization", "")
        self.send_response(200 if self.path == "/outlet/3" else 404)
        self.end_headers()
        self.wfile.write(Relay.state.encode())

    def log_message(self, *_words: object) -> None:
        """Not on the terminal."""


@pytest.fixture
def relay() -> Iterator[str]:
    Relay.state, Relay.login = "0", ""
    server = HTTPServer(("127.0.0.1", 0), Relay)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pdu(host: str, **changes: Any) -> PowerConfig:
    return read_config({"kind": "pdu", "model": "rest", "host": host, "index": 3, **changes})


def test_an_outlet_by_labgrids_back_end(relay: str) -> None:
    outlet = pdu(relay + "/outlet/{index}", user="lab", password_env="PDU")
    assert ask(outlet, "is_on", "p@ss/word") == {"on": False}
    assert ask(outlet, "on", "p@ss/word") == {"on": True}
    assert Relay.state == "1"
    assert Relay.login == "Basic bGFiOnBAc3Mvd29yZA=="
    assert ask(outlet, "off", "p@ss/word") == {"on": False}
    assert Relay.state == "0"


def test_what_a_pdu_refuses_is_one_sentence_without_the_password(
    relay: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PDU", "hunter2")
    power = Power("rack1", pdu(relay + "/wrong/{index}", user="lab", password_env="PDU"))
    with pytest.raises(LabError, match=r"^rack1: outlet 3 of the rest at .* 404") as caught:
        power.on()
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_labgrid_does_not_have_is_bad_input() -> None:
    with pytest.raises(UserError, match=r"^boards\.rack1\.power\.model: labgrid cannot load 'nox'"):
        Power("rack1", pdu("pdu1", model="nox")).is_on()


def ipmi(**changes: Any) -> IpmiPower:
    return IpmiPower.model_validate({"kind": "ipmi", "address": "a", "user": "u", **changes})


def test_a_password_is_a_files_line_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "password"
    login = ipmi(password_file=path)
    for content, mode, said in (
        ("hunter2\n", 0o640, "others may read or write .*; `chmod 600` it"),
        ("", 0o600, "should hold one line"),
        ("hunter2\nhunter3\n", 0o600, "should hold one line"),
        ("hunter2" * 1000, 0o600, "should hold one line"),
    ):
        path.write_text(content)
        path.chmod(mode)
        with pytest.raises(UserError, match=rf"^power\.password_file: .*{said}") as caught:
            read_password(login, "power")
        assert "hunter" not in str(caught.value)
    path.write_text("correct horse \r\n")
    assert read_password(login, "power") == "correct horse "
    path.unlink()
    with pytest.raises(UserError, match=r"cannot be read \(No such file or directory\)"):
        read_password(login, "power")


def test_a_password_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RACK1", "hunter2")
    assert read_password(ipmi(password_env="RACK1"), "power") == "hunter2"
    monkeypatch.delenv("RACK1")
    with pytest.raises(UserError, match="the environment has no RACK1"):
        read_password(ipmi(password_env="RACK1"), "power")
