# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel: something bootable with a name and a provenance."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.kernel.image import BzImage

# eagerfpu= exists since 3.7 (5d2bd7009f30) and until 4.8; facts: eager by default on a processor
# with XSAVEOPT (3.7..4.5) or on every one (4.6..4.8), and an eager kernel has no window.
_EAGERFPU = ((3, 7), (4, 8))
# Before ("hvc_xen: support PV on HVM consoles") an hvm guest speaks on an emulated port only.
_HVM_CONSOLE = (3, 4)


@dataclass(frozen=True)
class Kernel:
    """``image`` is a bzImage (or what the boot loader of the kind takes).

    ``provenance`` is plain JSON: ``source`` (image, package, tree or control), versions,
    sha256 of the image, configuration, and for a built one the command that repeats it.
    ``config`` is the .config it was built with, where known. ``vmlinux`` has its symbols.
    """

    name: str
    image: Path
    provenance: dict[str, Any] = field(default_factory=dict)
    config: Path | None = None
    vmlinux: Path | None = None

    @property
    def reading(self) -> str:
        """What its source says about the window, in a sentence; empty where it was not read."""
        return str(self.provenance.get("reading", {}).get("says", ""))


@dataclass(frozen=True)
class Bootable:
    """A kernel with what its image says of itself."""

    kernel: Kernel
    image: BzImage

    @property
    def needed_args(self) -> str:
        """Boot arguments without which a run on this version proves nothing."""
        first, last = _EAGERFPU
        return "eagerfpu=off" if first <= self.image.release <= last else ""

    def console_as(self, guest: str) -> str:
        """The console that this version has as a guest of Xen."""
        known = (0, 0) < self.image.release < _HVM_CONSOLE
        return "ttyS0" if guest == "hvm" and known else "hvc0"

    def impossible_as(self, guest: str) -> str | None:
        """Why Xen cannot start this kernel as a guest kind; None when it may."""
        if guest in ("dom0", "pv") and self.image.pv is False:
            return "it has no Xen PV entry (no XEN_ELFNOTE_ENTRY: CONFIG_XEN_PV is off)"
        if guest == "dom0" and self._lacks("CONFIG_XEN_DOM0"):
            return "its configuration has no CONFIG_XEN_DOM0, which Linux knows since 2.6.37"
        if guest == "pvh" and self.image.pvh is False:
            return "it has no PVH entry (no XEN_ELFNOTE_PHYS32_ENTRY: CONFIG_PVH is off or too old)"
        return None

    def _lacks(self, option: str) -> bool:
        """Whether the kernel is known to be without it; of an image without .config, nothing is."""
        config = self.kernel.config
        return config is not None and f"{option}=y" not in config.read_text().splitlines()
