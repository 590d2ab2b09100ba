# SPDX-License-Identifier: GPL-2.0-or-later
"""When a board's own system is brought up: its power is cut only where it does not answer."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from lab.config.board import BoardConfig
from lab.errors import LabError
from lab.trial.goodsystem import GoodSystem
from tests.helpers.hostkeys import ED25519
from tests.helpers.scripted import Machine


class Shell:
    """Answers as a board's own Xen does; the first ``fails`` commands do not come back."""

    def __init__(self, fails: int) -> None:
        self.fails = fails

    def attempt(self, _argv: list[str], **_: float) -> tuple[int, str, str]:
        if self.fails:
            self.fails -= 1
            raise LabError("test on b1: EOFError")
        return 0, "", ""

    def run(self, argv: list[str], **_: float) -> str:
        self.attempt(argv)
        return "xen_commandline        : dom0_mem=512M\n"

    def close(self) -> None: ...


def make_system(folder: Path, machine: Machine, fails: int, seconds: float = 20) -> GoodSystem:
    (folder / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    config = BoardConfig.model_validate({
        "power": {"kind": "command", "on": ["a"], "off": ["b"], "status": ["c"]},
        "console": {"kind": "tcp", "address": "x", "port": 1},
        "ssh": {
            "address": "x", "host_key": f"ssh-ed25519 {ED25519}", "identity": str(folder / "id"),
        },
    })  # fmt: skip
    good = GoodSystem(machine, "b1", config, seconds, folder / "log", threading.Event())
    shell: Any = Shell(fails)
    good.shell = shell
    return good


@pytest.mark.parametrize(("fails", "did"), [(0, []), (1, []), (2, ["follow", "off", "on", "end"])])
def test_a_connection_to_an_earlier_boot_is_not_a_dead_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int, did: list[str]
) -> None:
    monkeypatch.setattr(GoodSystem, "greets", lambda *_: True)
    machine = Machine(bytes)
    make_system(tmp_path, machine, fails).bring_up(lambda _state: None)
    assert machine.did == did
