# SPDX-License-Identifier: GPL-2.0-or-later
"""The XML of the nested host's domain."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from lab.host.domain import HostSpec, domain_xml
from lab.qemu.boot import Boot, command

HOST = HostSpec(
    "h", "6c616220-646f-6d30-2069-6d6167650000", "/q", "tcg", 3072, 2, Path("/xen"),
    "console=com1,vga", Path("/vmlinuz"), "root=/dev/sda", Path("/initrd"), Path("/d.qcow2"),
    Path("/c.log"), 2222,
)  # fmt: skip


def test_domain_xml_opens_nothing_but_ssh_on_loopback() -> None:
    root = ET.fromstring(domain_xml(HOST))
    args = [arg.get("value", "") for arg in root.iter() if arg.tag.endswith("arg")]
    netdev = args[args.index("-netdev") + 1]
    assert netdev == "user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22"
    assert args[args.index("-initrd") + 1] == "/vmlinuz root=/dev/sda,/initrd"
    assert root.get("type") == "qemu"
    assert root.find("devices/interface") is None
    serial = root.find("devices/serial/source")
    assert serial is not None
    assert serial.get("append") == "on"


@pytest.mark.parametrize("without", [(), ("arch-capabilities", "pdcm")])
def test_the_host_has_the_processor_of_the_machines_beside_it(without: tuple[str, ...]) -> None:
    boot = Boot("qemu", "kvm", Path("/k"), Path("/r"), "", 1, 256, without=without)
    argv = command(boot, Path("/console"))
    assert argv[argv.index("-cpu") + 1] == ",".join(["host", *(f"-{one}" for one in without)])
    root = ET.fromstring(domain_xml(replace(HOST, accelerator="kvm", without=without)))
    assert root.get("type") == "kvm"
    cpu = root.find("cpu")
    assert cpu is not None
    assert cpu.get("mode") == "host-passthrough"
    features = [(one.get("policy"), one.get("name")) for one in cpu]
    assert features == [("disable", one) for one in without]


def test_domain_xml_escapes_what_it_is_given() -> None:
    spec = HostSpec(**{**HOST.__dict__, "xen_args": 'x="<&>"'})
    assert "<domain" in domain_xml(spec)
    ET.fromstring(domain_xml(spec))
