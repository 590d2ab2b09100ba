# SPDX-License-Identifier: GPL-2.0-or-later
"""GRUB's entries as text, and what is refused; the rest is tried on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.host import grub
from lab.host.grub import Grub, Loaded

OWN = Loaded("/boot/vmlinuz-6.1", "/boot/initrd.img-6.1", "root=/dev/sda1 ro")
NATIVE = Loaded("/boot/lab/aa", "/boot/lab/bb", "console=ttyS0 mmx.run=0123")
DOM0 = Loaded("/boot/lab/aa", "/boot/lab/bb", "console=hvc0 mmx.run=0123", "/boot/lab/cc", "lab=1")


def test_an_entry_loads_all_or_comes_back() -> None:
    assert grub.write_boot("77", NATIVE, OWN) == (
        "menuentry 'xen-fpu-lab 77' --id lab-77 {\n"
        "  load_env next_entry\n"
        '  if [ "${next_entry}" = "lab-77" ]; then\n'
        "    insmod gzio\n"
        "    search --no-floppy --file --set=root /boot/vmlinuz-6.1\n"
        "    if linux /boot/vmlinuz-6.1 root=/dev/sda1 ro; then\n"
        "      if initrd /boot/initrd.img-6.1; then\n"
        "        boot\n"
        "      fi\n"
        "    fi\n"
        "  fi\n"
        "  insmod gzio\n"
        "  search --no-floppy --file --set=root /boot/lab/aa\n"
        "  if linux /boot/lab/aa console=ttyS0 mmx.run=0123; then\n"
        "    if initrd /boot/lab/bb; then\n"
        "      boot\n"
        "    fi\n"
        "  fi\n"
        "  reboot\n"
        "}\n"
    )


def test_xen_is_loaded_with_dom0_and_its_ramdisk() -> None:
    lines = [line.strip() for line in grub.write_boot("77", DOM0, OWN).splitlines()]
    assert "if multiboot2 /boot/lab/cc placeholder lab=1; then" in lines
    assert "if module2 /boot/lab/aa placeholder console=hvc0 mmx.run=0123; then" in lines
    assert "if module2 --nounzip /boot/lab/bb; then" in lines
    assert lines[-2] == "reboot"


def test_the_check_writes_into_grubenv_and_reboots() -> None:
    lines = [line.strip() for line in grub.write_check("77", OWN).splitlines()]
    assert lines[-4:] == ["set lab_check=77", "save_env lab_check", "reboot", "}"]


@pytest.mark.parametrize("args", ["a$b", "a;reboot", "a{", "a'b", 'a"b', "a\\b", "a\nb"])
def test_words_that_grub_would_read_itself_are_refused(args: str) -> None:
    with pytest.raises(LabError, match="GRUB would not take"):
        grub.write_boot("77", Loaded("/k", "/r", args), OWN)


def test_the_loaders_own_words_are_not_the_kernels() -> None:
    line = "BOOT_IMAGE=/vmlinuz-6.1 placeholder root=UUID=1 ro quiet\n"
    assert grub.own_args(line) == "root=UUID=1 ro quiet"


class Shell:
    """Answers as a machine would."""

    def __init__(self, **says: str) -> None:
        self.says = {
            "grub": "/boot/grub", "editenv": "/usr/bin/grub-editenv", "reads": "1",
            "abstraction": "", "fs": "ext2", "folder": "/lab", "kernel": "/vmlinuz-6.1",
            "ramdisk": "/initrd.img-6.1", "args": "root=/dev/sda1 ro", **says,
        }  # fmt: skip
        self.written: dict[str, str] = {}
        self.ran: list[str] = []
        self.deaf = False  # grubenv does not take what is written

    def run(self, argv: list[str], **_: float) -> str:
        self.ran.append(" ".join(argv))
        if " set next_entry=" in self.ran[-1]:
            return "" if self.deaf else self.ran[-1].partition(" set ")[2].partition(";")[0] + "\n"
        return "".join(f"{key}={value}\n" for key, value in self.says.items())

    def write(self, text: str, remote: str) -> None:
        self.written[remote] = text

    def close(self) -> None:
        self.ran.append("close")


def read(**says: str) -> Grub:
    shell: Any = Shell(**says)
    return grub.read_grub(shell, Path("/boot/lab"), "rack1")


def test_what_a_machine_says_of_its_grub() -> None:
    found = read(next_entry="lab-12")
    assert found.own == Loaded("/vmlinuz-6.1", "/initrd.img-6.1", "root=/dev/sda1 ro")
    assert (found.folder, found.files, found.next_entry) == ("/boot/grub", "/lab", "lab-12")


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"editenv": ""}, "rack1: it has no grub-editenv"),
        ({"abstraction": "lvm"}, "rack1: GRUB cannot clear next_entry, for /boot/grub/grubenv is"),
        ({"fs": "btrfs"}, "on btrfs: put /boot on a plain partition with ext4"),
    ],
)
def test_a_machine_that_cannot_boot_once_is_one_sentence(says: dict[str, str], words: str) -> None:
    with pytest.raises(LabError) as caught:
        read(**says)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_boot_is_written_named_and_begun() -> None:
    shell: Any = Shell()
    found = grub.read_grub(shell, Path("/boot/lab"), "rack1")
    grub.boot_once(shell, found, "77", "the entry", "rack1")
    assert shell.written == {"/boot/grub/lab.cfg": "the entry"}
    assert "/usr/bin/grub-editenv /boot/grub/grubenv set next_entry=lab-77" in shell.ran[1]
    assert "reboot" in shell.ran[2]
    assert shell.ran[3] == "close"


def test_a_grubenv_that_takes_nothing_is_said_before_the_reboot() -> None:
    shell: Any = Shell()
    found = grub.read_grub(shell, Path("/boot/lab"), "rack1")
    shell.deaf = True
    with pytest.raises(LabError, match="rack1: /boot/grub/grubenv cannot be written"):
        grub.boot_once(shell, found, "77", "the entry", "rack1")
    assert not any("reboot" in words for words in shell.ran)
