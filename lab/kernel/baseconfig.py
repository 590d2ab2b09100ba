# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole .config that somebody brings: a distribution's, or what an image holds of its own.

A kernel with CONFIG_IKCONFIG keeps its .config, gzipped between two marks.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from lab.console.release import Release
from lab.errors import UserError
from lab.kernel import image as bzimage
from lab.kernel import kconfig
from lab.system.files import sha256_of

# kernel/configs.c
_BEGIN, _END = b"IKCFG_ST", b"IKCFG_ED"
_GZIP, _ELF = b"\x1f\x8b", b"\x7fELF"
# What the user's configuration decides, and the lab's fragments do not: how the kernel gives way,
# and how wide it is.
KEPT = (
    "CONFIG_PREEMPT_NONE", "CONFIG_PREEMPT_VOLUNTARY", "CONFIG_PREEMPT", "CONFIG_PREEMPT_LAZY",
    "CONFIG_PREEMPT_RT", "CONFIG_PREEMPT_RT_FULL", "CONFIG_PREEMPT_DYNAMIC", "CONFIG_SLAB",
    "CONFIG_SLUB", "CONFIG_SLOB", "CONFIG_SLUB_DEBUG", "CONFIG_64BIT",
)  # fmt: skip


@dataclass(frozen=True)
class BaseConfig:
    """``text`` as in the file, or as an image holds it."""

    file: Path
    text: str = field(repr=False)

    @functools.cached_property
    def options(self) -> dict[str, str]:
        return kconfig.read_options(self.text)

    @property
    def kept(self) -> dict[str, str]:
        """What wins over the lab's fragments; what is not in the file is off."""
        wide = "n" if self.options.get("CONFIG_X86_32") == "y" else "y"
        return {name: self.options.get(name, "n") for name in KEPT} | {"CONFIG_64BIT": wide}

    @property
    def bits(self) -> dict[str, str]:
        """CONFIG_64BIT alone."""
        return {"CONFIG_64BIT": self.kept["CONFIG_64BIT"]}

    @property
    def provenance(self) -> dict[str, str]:
        return {"file": str(self.file), "sha256": sha256_of(self.text)}


def read(path: Path) -> BaseConfig:
    """A .config, also gzipped, or that of a bzImage or vmlinux; UserError for anything else."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the configuration cannot be read ({error.strerror})") from None
    if content.startswith(_GZIP):
        content = _unzip(content, path)
    if content.startswith(_ELF) or content[0x202:0x206] == b"HdrS":
        content = extract(content, path)
    made = BaseConfig(path, content.decode(errors="replace"))
    if made.options.get("CONFIG_X86") != "y":
        raise UserError(
            f"{path}: is not the whole .config of an x86 kernel (it has no CONFIG_X86=y); a "
            "part of one goes under `fragments`"
        )
    return made


def extract(image: bytes, path: Path) -> bytes:
    """The .config in a bzImage or a vmlinux; UserError for a kernel that keeps none."""
    whole = image if image.startswith(_ELF) else bzimage.unpack(image, path)
    begin = (whole or b"").find(_BEGIN)
    if whole is None or begin < 0:
        raise UserError(
            f"{path}: this kernel does not hold its configuration (CONFIG_IKCONFIG is off or a "
            "module); give the .config itself, such as /boot/config-VERSION"
        )
    return _unzip(whole[begin + len(_BEGIN) : whole.find(_END, begin)], path)


def _unzip(content: bytes, path: Path) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(content)
    except zlib.error as error:
        raise UserError(f"{path}: the configuration does not unpack: {error}") from None


def find_hindrances(config: str, release: Release) -> list[str]:
    """What in a made .config, or in this version, keeps the bug from showing: sentences.

    Which versions give way where is from reading them: docs/kernels.md.
    """
    on = kconfig.read_config(config)
    found = []
    preempt = on.get("CONFIG_PREEMPT") == "y"
    if not preempt and not any(
        on.get(f"CONFIG_{name}") == "y" for name in ("PREEMPT_VOLUNTARY", "PREEMPT_LAZY")
    ):
        found.append(
            "without CONFIG_PREEMPT_VOLUNTARY or CONFIG_PREEMPT the first FPU use gives way only "
            "while memory is short: the bug can hardly show"
        )
    elif not preempt and on.get("CONFIG_SLUB") == "y":
        found += _find_silent_slub(on, release)
    if "eagerfpu=on" in on.get("CONFIG_CMDLINE", ""):
        found.append("CONFIG_CMDLINE says eagerfpu=on: an eager kernel has no window")
    if (4, 2) <= release[:2] <= (4, 8):
        found.append(
            "Linux 4.2 to 4.8 does not allocate in #NM: only a tree that brought that back has "
            "the window"
        )
    elif (4, 9) <= release[:2] < (99, 0):
        found.append("Linux has no lazy FPU mode since 4.9: only a tree with one has the window")
    return found


def _find_silent_slub(on: dict[str, str], release: Release) -> list[str]:
    if release < (2, 6, 29):
        return [
            "before 2.6.29 SLUB's allocations never give way: the bug can hardly show; "
            "CONFIG_SLAB=y would"
        ]
    if (2, 6, 37) <= release < (3, 17) and on.get("CONFIG_SLUB_DEBUG") != "y":
        return [
            "from 2.6.37 to 3.16 SLUB gives way only with CONFIG_SLUB_DEBUG, which is off: the "
            "bug can hardly show"
        ]
    return []
