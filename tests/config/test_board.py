# SPDX-License-Identifier: GPL-2.0-or-later
"""`boards:` of lab.yaml: what is accepted, and the one sentence for anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.config.board import BoardConfig, GrubBoot, IpmiPower, Rfc2217Console
from lab.config.load import parse
from lab.errors import UserError

IPMI = {"kind": "ipmi", "address": "bmc1", "user": "lab", "password_file": "bmc1.password"}
RFC2217 = {"kind": "rfc2217", "address": "10.0.0.7", "port": 3001}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


def read(**changes: Any) -> BoardConfig:
    board = {"power": IPMI, "console": RFC2217, **changes}
    text = yaml.safe_dump({"kernels": {"k": {"image": "bzImage"}}, "boards": {"rack1": board}})
    return parse(text, Path("/etc/lab/lab.yaml")).boards["rack1"]


def test_the_least_that_makes_a_board() -> None:
    board = read()
    assert isinstance(board.power, IpmiPower)
    assert board.power.port == 623
    assert board.power.password_file == Path("/etc/lab/bmc1.password")
    assert isinstance(board.console, Rfc2217Console)
    assert board.boot is None


def test_a_board_with_everything() -> None:
    board = read(
        boot={"kind": "grub"}, ssh={"address": "rack1", "host_key": KEY, "identity": "id"},
        mac="52-54-00-AB-CD-EF", tags=["amd", "svm"], serial="com2", speed=57600,
    )  # fmt: skip
    assert isinstance(board.boot, GrubBoot)
    assert board.ssh is not None
    assert board.ssh.identity == Path("/etc/lab/id")
    assert board.mac == "52:54:00:ab:cd:ef"


@pytest.mark.parametrize(
    "part",
    [
        {"power": {"kind": "redfish", "url": "https://bmc", "user": "u", "password_env": "PW"}},
        {"power": {"kind": "redfish", "url": "http://[::1]:8000", "user": "u",
                   "password_env": "PW"}},
        {"power": {"kind": "pdu", "model": "gude24", "host": "pdu1", "index": 3}},
        {"power": {"kind": "pdu", "model": "rest", "host": "http://pdu1/{index}", "index": 3,
                   "user": "u", "password_env": "PW"}},
        {"power": {"kind": "command", "on": ["r", "1"], "off": ["r", "0"], "status": ["r"]}},
        {"power": {**IPMI, "address": "fe80::1%eth0"}},
        {"console": {"kind": "tcp", "address": "ts1", "port": 7001}},
        {"console": {"kind": "device", "path": "/dev/ttyUSB0"}},
        {"console": {"kind": "command", "command": ["ipmitool", "-f", "pw", "sol", "activate"]}},
        {"boot": {"kind": "network", "address": "10.0.0.1"}, "mac": "52:54:00:12:34:56"},
    ],
)  # fmt: skip
def test_every_kind_of_a_part_is_read(part: dict[str, Any]) -> None:
    read(**part)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"power": {**IPMI, "kind": "ipmy"}},
         "boards.rack1.power: the kind 'ipmy' is not known; there are ipmi, redfish, pdu, labgrid"),
        ({"power": {"address": "x"}}, "boards.rack1.power: 'kind' is missing"),
        ({"power": {**IPMI, "adress": "x"}},
         "boards.rack1.power.adress: unknown key 'adress'; did you mean 'address'?"),
        ({"powr": {}}, "boards.rack1.powr: unknown key 'powr'; did you mean 'power'?"),
        ({"ssh": {"address": "a", "host_key": KEY, "usr": "x"}},
         "boards.rack1.ssh.usr: unknown key 'usr'; did you mean 'user'?"),
        ({"power": {**IPMI, "password": "hunter2"}},
         "boards.rack1.power: a password does not belong into this file: "
         "use password_file: or password_env:"),
        ({"power": {**IPMI, "password_env": "PW"}},
         "boards.rack1.power: has both password_file and password_env: name one of them"),
        ({"power": {"kind": "ipmi", "address": "a", "user": "u"}},
         "boards.rack1.power: needs 'user' and one of password_file, password_env"),
        ({"power": {"kind": "ipmi", "address": "a", "user": "u", "password_env": "hunter 2"}},
         "boards.rack1.power: password_env should be a variable's name, such as RACK1_PASSWORD"),
        ({"power": {**IPMI, "address": "https://bmc1"}},
         "boards.rack1.power.address: 'https://bmc1' is not a host name or an IP address: "
         "write the port under 'port:'"),
        ({"power": {"kind": "redfish", "url": "http://bmc", "user": "u", "password_env": "P"}},
         "would send the password in the clear: use https://"),
        ({"power": {"kind": "redfish", "url": "https://u:p@bmc", "user": "u",
                    "password_env": "P"}},
         "the URL has a user or a password in it: use user: and password_file: or password_env:"),
        ({"power": {"kind": "pdu", "model": "rest", "host": "http://u:hunter2@p", "index": 1}},
         "the URL has a user or a password in it"),
        ({"power": {"kind": "pdu", "model": "../x", "host": "p", "index": 1}},
         "'../x' is not a model of labgrid's: gude24 or rest would be one"),
        ({"power": {"kind": "command", "on": [], "off": ["x"], "status": ["x"]}},
         "boards.rack1.power.on: should be a list of words, the first one the program"),
        ({"console": {"kind": "command", "command": ["/usr/bin/ipmitool", "-Phunter2", "sol"]}},
         "boards.rack1.console.command: gives /usr/bin/ipmitool a password by -P"),
        ({"console": {"kind": "tcp", "address": "ts1"}}, "boards.rack1.console.port: is missing"),
        ({"console": {"kind": "device", "path": "ttyS0"}},
         "'ttyS0' should be a path such as /dev/ttyUSB0"),
        ({"boot": {"kind": "network", "address": "a"}},
         "boards.rack1: boot.kind network needs 'mac'"),
        ({"boot": {"kind": "grub"}}, "boards.rack1: boot.kind grub needs 'ssh'"),
        ({"mac": "52:54"}, "boards.rack1.mac: '52:54' is not a MAC address"),
        ({"tags": ["a b"]}, "boards.rack1.tags: 'a b' is not a tag"),
        ({"ssh": {"address": "a", "host_key": "k"}}, "boards.rack1.ssh.host_key: has the type 'k'"),
    ],
)  # fmt: skip
def test_anything_else_is_one_sentence(part: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        read(**part)
    text = str(caught.value)
    assert said in text
    assert "\n" not in text
    assert "hunter" not in text.replace("password_env should", "")


def test_a_board_has_a_plain_name() -> None:
    text = yaml.safe_dump({"kernels": {"k": {"image": "b"}}, "boards": {"a@b": {}}})
    with pytest.raises(UserError, match="a@b"):
        parse(text, Path("lab.yaml"))


def test_what_evidence_keeps_of_a_board_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "hunter2")
    login = {"kind": "redfish", "url": "https://bmc", "user": "u", "password_env": "PW"}
    kept = json.dumps(read(power=login).model_dump(mode="json"))
    assert "hunter2" not in kept
    assert '"password_env": "PW"' in kept
