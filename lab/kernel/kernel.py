"""A kernel: something bootable with a name and a provenance."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


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
