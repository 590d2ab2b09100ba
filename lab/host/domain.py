# SPDX-License-Identifier: GPL-2.0-or-later
"""The nested host's libvirt domain: pure functions from facts to XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from lab.qemu.options import FEATURES_OFF, modules

_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"


@dataclass(frozen=True)
class HostSpec:
    """What the nested host is made of. ``ssh_port`` is on the loopback address of this machine."""

    name: str
    uuid: str  # a saved state can be resumed only as the domain that it was
    emulator: str
    accelerator: str  # kvm or tcg
    memory_mib: int
    vcpus: int
    xen: Path
    xen_args: str
    kernel: Path
    kernel_args: str
    ramdisk: Path
    disk: Path  # a qcow2 overlay
    console: Path
    ssh_port: int
    without: tuple[str, ...] = ()  # CPU features that are left out under KVM


def domain_xml(spec: HostSpec) -> str:
    """A transient domain. Xen and its modules go by QEMU's own options: libvirt would take the
    multiboot module string for a file name. A PV dom0 cannot use virtio (its frame numbers are
    not machine addresses), hence AHCI and e1000e.
    """
    domain = ET.Element("domain", {"type": "kvm" if spec.accelerator == "kvm" else "qemu"})
    _text(domain, "name", spec.name)
    _text(domain, "uuid", spec.uuid)
    _text(domain, "memory", str(spec.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(spec.vcpus))
    system = ET.SubElement(domain, "os")
    _text(system, "type", "hvm", arch="x86_64", machine="q35")
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    domain.append(_cpu(spec))
    for event, action in (("poweroff", "destroy"), ("reboot", "destroy"), ("crash", "destroy")):
        _text(domain, f"on_{event}", action)
    domain.append(_devices(spec))
    domain.append(_command_line(spec))
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def _cpu(spec: HostSpec) -> ET.Element:
    """The same processor as that of the machines that the lab starts itself."""
    kvm = spec.accelerator == "kvm"
    cpu = ET.Element("cpu", {"mode": "host-passthrough" if kvm else "maximum"})
    for feature in spec.without if kvm else FEATURES_OFF:
        ET.SubElement(cpu, "feature", {"policy": "disable", "name": feature})
    return cpu


def _devices(spec: HostSpec) -> ET.Element:
    devices = ET.Element("devices")
    _text(devices, "emulator", spec.emulator)
    disk = ET.SubElement(devices, "disk", {"type": "file", "device": "disk"})
    ET.SubElement(disk, "driver", {"name": "qemu", "type": "qcow2", "cache": "unsafe"})
    ET.SubElement(disk, "source", {"file": str(spec.disk)})
    ET.SubElement(disk, "target", {"dev": "sda", "bus": "sata"})
    serial = ET.SubElement(devices, "serial", {"type": "file"})
    ET.SubElement(serial, "source", {"path": str(spec.console), "append": "on"})
    ET.SubElement(serial, "target", {"port": "0"})
    ET.SubElement(devices, "controller", {"type": "usb", "model": "none"})
    ET.SubElement(devices, "memballoon", {"model": "none"})
    return devices


def _command_line(spec: HostSpec) -> ET.Element:
    forward = f"tcp:127.0.0.1:{spec.ssh_port}-:22"
    words = [
        "-kernel", str(spec.xen),
        "-append", spec.xen_args,
        "-initrd", modules(f"{spec.kernel} {spec.kernel_args}", str(spec.ramdisk)),
        # restrict=on: the host reaches nothing outside; only ssh comes in, on loopback.
        "-netdev", f"user,id=ssh,restrict=on,hostfwd={forward}",
        "-device", "e1000e,netdev=ssh,bus=pcie.0,addr=0x10",
    ]  # fmt: skip
    commands = ET.Element("qemu:commandline", {"xmlns:qemu": _QEMU})
    for word in words:
        ET.SubElement(commands, "qemu:arg", {"value": word})
    return commands


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text
