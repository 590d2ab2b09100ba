# SPDX-License-Identifier: GPL-2.0-or-later
"""The xl configuration of guests."""

from __future__ import annotations

import pytest

from lab.host.guest import GuestSpec, xl_config

GUEST = GuestSpec("lab-x-1", "pv", "/k", "/r", "panic=1", 2, 256, True)


def test_xl_configuration_of_a_pv_guest() -> None:
    assert xl_config(GUEST) == (
        'name = "lab-x-1"\ntype = "pv"\nkernel = "/k"\nramdisk = "/r"\n'
        'cmdline = "console=hvc0 panic=1"\nvcpus = 2\nmemory = 256\n'
        'on_poweroff = "destroy"\non_reboot = "destroy"\non_crash = "destroy"\n'
        'on_watchdog = "destroy"\n'
    )


@pytest.mark.parametrize(("kind", "tsc", "vga"), [("pvh", True, False), ("hvm", True, True)])
def test_xl_configuration_of_hardware_guests(kind: str, tsc: bool, vga: bool) -> None:
    text = xl_config(GuestSpec(**{**GUEST.__dict__, "kind": kind}))
    assert ('tsc_mode = "native"' in text) is tsc
    assert ('vga = "none"' in text) is vga
    assert "vif" not in text
    assert "disk =" not in text.replace("ramdisk =", "")


def test_no_native_tsc_on_real_processors() -> None:
    text = xl_config(GuestSpec(**{**GUEST.__dict__, "kind": "hvm", "native_tsc": False}))
    assert "tsc_mode" not in text


def test_an_hvm_kernel_without_a_xen_console_gets_a_serial_port() -> None:
    assert "serial" not in xl_config(GUEST)
    text = xl_config(GuestSpec(**{**GUEST.__dict__, "kind": "hvm", "console": "ttyS0"}))
    assert 'cmdline = "console=ttyS0 panic=1"' in text
    assert 'serial = "pty"' in text
