# SPDX-License-Identifier: GPL-2.0-or-later
"""A hypervisor as QEMU's multiboot loader wants it: Debian's package, a file, or built here."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.config.xen import XenConfig
from lab.errors import LabError, UserError
from lab.system import debian
from lab.system.answers import cached_sha256
from lab.system.cache import cache_dir
from lab.system.files import sha256_of, write_atomic
from lab.xen.package import find_package

Report = Callable[[str], None]
_GZIP = b"\x1f\x8b"
_ELF32 = b"\x7fELF\x01"


@dataclass(frozen=True)
class Xen:
    """``image`` is the gunzipped 32-bit ELF file; ``package`` says in a word what it is.

    ``args`` are words for its command line. ``facts`` are more provenance.
    """

    image: Path
    package: str
    version: str
    args: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def provenance(self) -> dict[str, Any]:
        known = {"package": self.package, "version": self.version, "args": self.args}
        return {**known, **self.facts, "sha256": cached_sha256(self.image)}


def resolve(config: XenConfig, report: Report = lambda _state: None) -> Xen:
    """Find, download or build a hypervisor once; nothing is installed."""
    if config.file is not None:
        return _take_file(config.file, config.args)
    if config.built:
        from lab.xen.build import build  # with the reader of patches: few runs need it

        image, version, facts = build(config, report)
        return Xen(image, str(facts["package"]), version, config.args, facts)
    package = debian.download(find_package(config))
    boot = debian.unpack(package) / "boot"
    packed = sorted(boot.glob("xen-*-amd64.gz"))
    if not packed:
        raise LabError(f"the package {package.name} has no boot/xen-*-amd64.gz")
    image = boot / packed[-1].name.removesuffix(".gz")
    if not image.exists():
        write_atomic(image, gzip.decompress(packed[-1].read_bytes()))
    return Xen(image, package.name, package.version, config.args)


def _take_file(path: Path, args: str) -> Xen:
    """A hypervisor of the user's; UserError when QEMU could not load it."""
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"xen.file: {path} cannot be read ({error})") from None
    if not content.startswith(_ELF32):
        raise UserError(
            f"xen.file: {path} is not a 32-bit ELF file: give Xen's own `xen` or `xen.gz`, "
            "not xen-syms or xen.efi"
        )
    image = cache_dir() / "xen" / f"{sha256_of(content)[:16]}.elf"
    if not image.exists():
        image.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(image, content)
    return Xen(image, "file", path.name, args, {"file": str(path)})
