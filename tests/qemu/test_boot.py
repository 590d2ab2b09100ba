# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's command lines for native and dom0 cells."""

from __future__ import annotations

from pathlib import Path

from lab.qemu.boot import Boot, command

BOOT = Boot("qemu", "tcg", Path("/k"), Path("/r"), "panic=1 a=b,c", 2, 256)


def test_native_command_has_no_network_and_one_serial_port() -> None:
    argv = command(BOOT, Path("/console"))
    assert argv[argv.index("-nic") + 1] == "none"
    assert argv[argv.index("-append") + 1] == "console=ttyS0 panic=1 a=b,c"
    assert argv[argv.index("-cpu") + 1] == "max,-smap,-smep"


def test_dom0_command_doubles_commas_in_the_module_string_only() -> None:
    boot = Boot(
        "qemu", "tcg", Path("/k"), Path("/r"), "a=b,c", 1, 256, Path("/xen"), "sync_console"
    )
    argv = command(boot, Path("/console"))
    assert argv[argv.index("-initrd") + 1] == "/k console=hvc0 a=b,,c,/r"
    assert "dom0_mem=256M,max:256M" in argv[argv.index("-append") + 1]
    assert argv[argv.index("-append") + 1].endswith("sync_console")


def test_kvm_takes_the_processor_as_it_is() -> None:
    boot = Boot("qemu", "kvm", Path("/k"), Path("/r"), "", 1, 256)
    argv = command(boot, Path("/console"))
    assert argv[argv.index("-cpu") + 1] == "host"
