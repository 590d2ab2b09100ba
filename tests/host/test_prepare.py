# SPDX-License-Identifier: GPL-2.0-or-later
"""What prepare-board writes; that it works is tried on a board."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.host.grub import BEGIN, END, SOURCE
from playbooks import board

OWN = "menuentry 'mine' {\n  true\n}\n"


def test_the_defaults_name_the_port_and_xen() -> None:
    text = board.write_defaults("com2", 57600, "xen-gnulinux-simple-1")
    assert 'GRUB_DEFAULT="xen-gnulinux-simple-1"\n' in text
    assert 'GRUB_SERIAL_COMMAND="serial --unit=1 --speed=57600"\n' in text
    assert "console=ttyS1,57600n8" in text
    assert "com2=57600,8n1 console=com2" in text


def test_the_defaults_are_shell(tmp_path: Path) -> None:
    path = tmp_path / "zz.cfg"
    path.write_text(board.write_defaults("com1", 115200, "x"))
    said = subprocess.run(
        ["sh", "-uc", f'GRUB_CMDLINE_XEN="a=b"; GRUB_CMDLINE_LINUX=c; . {path}; '
         'for name in XEN LINUX_XEN_REPLACE LINUX; do eval echo \\$GRUB_CMDLINE_$name; done'],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.splitlines() == [
        "a=b com1=115200,8n1 console=com1",
        "c console=hvc0",  # dom0 is not sent to the port that Xen has
        "c console=tty0 console=ttyS0,115200n8",
    ]


def test_what_is_cut_out_is_what_was_put_in(tmp_path: Path) -> None:
    custom = tmp_path / "custom.cfg"
    custom.write_text(OWN + SOURCE + OWN)
    subprocess.run(["sed", "-i", f"/^{BEGIN}$/,/^{END}$/d", custom], check=True)
    assert custom.read_text() == OWN + OWN
    assert f"/^{BEGIN}$/,/^{END}$/d" == board._CUT


class Machine:
    """Its boots by their ids; ``after``: what it says of its GRUB after the reboot."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **after: str) -> None:
        self.boots = iter(["1", "1", "", "2"])
        self.after = after
        self.ran: list[str] = []
        self.booted = False
        self.token = ""
        monkeypatch.setattr("lab.host.grub.boot_once", self.boot_once)
        monkeypatch.setattr("playbooks.board.Deadline", lambda _seconds: self)
        self.expired = False

    def pause(self, _seconds: float) -> None:
        """Time does not matter."""

    def boot_once(self, _shell: Any, _grub: Any, token: str, text: str, _name: str) -> None:
        assert f"lab_check={token}" in text
        self.booted, self.token = True, token

    def run(self, argv: list[str], **_: float) -> str:
        self.ran.append(" ".join(argv))
        if "boot_id" in self.ran[-1]:
            found = next(self.boots)
            if not found:
                raise LabError("it does not answer by ssh")
            return found + "\n"
        says = {
            "grub": "/boot/grub", "editenv": "grub-editenv", "reads": "1", "abstraction": "",
            "fs": "ext2", "folder": "/boot/lab", "kernel": "/k", "ramdisk": "/r", "args": "ro",
        }  # fmt: skip
        if self.booted:
            says |= {"lab_check": self.token, **self.after}
        return "".join(f"{key}={value}\n" for key, value in says.items())


def test_the_proof_is_an_entry_that_ran_once(monkeypatch: pytest.MonkeyPatch) -> None:
    machine: Any = Machine(monkeypatch)
    said: list[str] = []
    board.check_once(machine, said.append)
    assert "cleared next_entry, and came back" in said[-1]
    assert machine.ran[-1] == "grub-editenv /boot/grub/grubenv unset lab_check"


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"next_entry": "lab-1"}, "GRUB cannot clear next_entry in /boot/grub/grubenv"),
        ({"lab_check": ""}, "GRUB did not boot the lab's entry"),
        ({"lab_check": "older"}, "GRUB did not boot the lab's entry"),
    ],
)
def test_a_grub_that_fails_the_proof_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, after: dict[str, str], words: str
) -> None:
    machine: Any = Machine(monkeypatch, **after)
    with pytest.raises(LabError, match=words):
        board.check_once(machine, lambda _text: None)
