"""The hypervisor: Debian's package, unpacked, as QEMU's multiboot loader wants it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

from lab import debian
from lab.config import XenConfig
from lab.errors import LabError, UserError
from lab.files import sha256, write_atomic


@dataclass(frozen=True)
class Xen:
    """``image`` is the gunzipped 32-bit ELF file; ``version`` is the package's."""

    image: Path
    package: str
    version: str

    def provenance(self) -> dict[str, str]:
        return {"package": self.package, "version": self.version, "sha256": sha256(self.image)}


def package_name(config: XenConfig) -> str:
    """The configured package, or the one that Debian's own Xen system depends on."""
    if config.package != "auto":
        return config.package
    for name in debian.depends("xen-system-amd64"):
        if name.startswith("xen-hypervisor-"):
            return name
    raise UserError(
        "lab.yaml: xen.package: apt has no xen-system-amd64 to tell today's hypervisor; "
        "run `apt-get update`, or name a package such as xen-hypervisor-4.17-amd64"
    )


def resolve(config: XenConfig) -> Xen:
    """Download and unpack the hypervisor once; nothing is installed."""
    package = debian.download(package_name(config))
    boot = debian.unpack(package) / "boot"
    packed = sorted(boot.glob("xen-*-amd64.gz"))
    if not packed:
        raise LabError(f"the package {package.name} holds no boot/xen-*-amd64.gz")
    image = boot / packed[-1].name.removesuffix(".gz")
    if not image.exists():
        write_atomic(image, gzip.decompress(packed[-1].read_bytes()))
    return Xen(image, package.name, package.version)
