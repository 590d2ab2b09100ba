# SPDX-License-Identifier: GPL-2.0-or-later
"""What a nested Xen host is started with: pure, but for the hash of its hypervisor."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from lab.host.domain import HostSpec, domain_xml
from lab.host.image import Dom0Image
from lab.host.state import HostFolder
from lab.qemu.options import XEN_CONSOLE, dom0_size
from lab.system.answers import cached_sha256
from lab.system.files import sha256_of

DOM0_MIB = 1024
_XEN_MIB = 64  # besides dom0; seen: 1057 of 3071 MiB are not free
PER_GUEST_MIB = 32  # Xen's own for each guest
# One dom0 vCPU: the others stay free for guests.
_XEN_ARGS = f"{XEN_CONSOLE} loglvl=info guest_loglvl=info {dom0_size(DOM0_MIB, 1)}"
_KERNEL_ARGS = "console=hvc0 root=/dev/sda ro net.ifnames=0 mitigations=off panic=5"


def find_room(memory_mib: int) -> int:
    """MiB that a nested host of that size has for guests; dom0 and Xen keep their parts."""
    return memory_mib - DOM0_MIB - _XEN_MIB


@dataclass(frozen=True)
class HostPlan:
    """Sizes in MiB."""

    qemu: str
    accelerator: str
    memory_mib: int
    vcpus: int
    image: Dom0Image
    xen_args: str = ""
    libvirt_uri: str | None = None
    xen: Path | None = None  # a hypervisor other than the image's own
    resume: bool = True  # from a state that was saved after a first boot
    without: tuple[str, ...] = ()  # CPU features that are left out under KVM

    @property
    def hypervisor(self) -> Path:
        return self.xen or self.image.xen

    def identity(self) -> str:
        """A running host started with another identity is not reused."""
        return sha256_of(
            self.qemu, self.accelerator, str(self.memory_mib), str(self.vcpus),
            str(self.image.folder), self.xen_args, _XEN_ARGS, _KERNEL_ARGS,
            cached_sha256(self.hypervisor), *self.without,
        )[:16]  # fmt: skip

    def xml(self, name: str, folder: HostFolder, nonce: str, port: int) -> str:
        """The domain, with its overlay and its console in ``folder``.

        ``nonce`` is put on Xen's command line; ``port`` of the loopback address is dom0's ssh.
        """
        return domain_xml(
            HostSpec(
                name=name,
                uuid=str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
                emulator=self.qemu,
                accelerator=self.accelerator,
                memory_mib=self.memory_mib,
                vcpus=self.vcpus,
                xen=self.hypervisor,
                # Xen passes over a word that it does not know; xl info shows it.
                xen_args=f"{_XEN_ARGS} lab={nonce} {self.xen_args}".strip(),
                kernel=self.image.kernel,
                kernel_args=_KERNEL_ARGS,
                ramdisk=self.image.ramdisk,
                disk=folder.overlay,
                console=folder.console,
                ssh_port=port,
                without=self.without,
            )
        )
