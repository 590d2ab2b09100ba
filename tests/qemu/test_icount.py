# SPDX-License-Identifier: GPL-2.0-or-later
"""Deterministic boots: the command lines that make them."""

from __future__ import annotations

from pathlib import Path

from lab.qemu import machine
from lab.qemu.boot import Boot, command, portable


def boot(xen: bool = True, icount: int | None = 1) -> Boot:
    return Boot(
        "/q", "tcg", Path("/k/bzImage"), Path("/r/some.cpio"), "panic=1", 1, 256,
        Path("/x/xen") if xen else None, "", icount,
    )  # fmt: skip


def test_the_command_line_fixes_what_could_differ() -> None:
    words = command(portable(boot()), Path("/c"))
    for pair in (
        ("-icount", "shift=1,sleep=off,align=off"),
        ("-rtc", "base=2020-01-01,clock=vm"),
        ("-seed", "1"),
        ("-cpu", "max,-smap,-smep,-x2apic,-tsc-deadline"),
        ("-initrd", "kernel console=hvc0 panic=1,ramdisk"),
    ):
        assert words[words.index(pair[0]) + 1] == pair[1]
    assert "x2apic=0" in words[words.index("-append") + 1].split()


def test_a_free_running_machine_is_not_affected() -> None:
    words = command(boot(icount=None), Path("/c"))
    assert not {"-icount", "-rtc", "-seed"} & set(words)
    assert "x2apic=0" not in words[words.index("-append") + 1]


def test_staged_files_have_fixed_names(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"kernel")
    wanted = Boot("/q", "tcg", tmp_path / "image", tmp_path / "image", "", 1, 64, icount=1)
    with machine.staged(wanted) as (again, folder):
        assert (folder / again.kernel).read_bytes() == b"kernel"
        assert {path.name for path in folder.iterdir()} == {"kernel", "ramdisk"}
    assert not folder.exists()
