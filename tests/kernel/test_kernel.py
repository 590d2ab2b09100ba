# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel can be booted as, and with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable, Kernel


@pytest.mark.parametrize(
    ("version", "args"),
    [("3.2.0", ""), ("3.7.1", "eagerfpu=off"), ("4.1.27", "eagerfpu=off"), ("4.9.1", "")],
)
def test_which_versions_need_lazy_mode_asked_for(version: str, args: str) -> None:
    bootable = Bootable(Kernel("x", Path("/k")), BzImage(version, True, True))
    assert bootable.needed_args == args


@pytest.mark.parametrize(
    ("version", "console"), [("3.2.0", "ttyS0"), ("3.4.0", "hvc0"), ("mine", "hvc0")]
)
def test_which_versions_have_a_xen_console_as_hvm(version: str, console: str) -> None:
    bootable = Bootable(Kernel("x", Path("/k")), BzImage(version, True, True))
    assert bootable.console_as("hvm") == console
    assert bootable.console_as("pv") == "hvc0"


def test_a_kernel_built_without_dom0_is_not_for_domain_0(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("CONFIG_XEN=y\n")
    built = Kernel("x", Path("/k"), config=config)
    bootable = Bootable(built, BzImage("2.6.32.2", True, False))
    assert "CONFIG_XEN_DOM0" in (bootable.impossible_as("dom0") or "")
    assert bootable.impossible_as("pv") is None
    config.write_text("CONFIG_XEN=y\nCONFIG_XEN_DOM0=y\n")
    assert bootable.impossible_as("dom0") is None
    assert Bootable(Kernel("x", Path("/k")), bootable.image).impossible_as("dom0") is None
