"""The stress program's binaries, made by its own Makefile."""

from __future__ import annotations

from pathlib import Path

from lab.system.files import PROJECT
from lab.system.process import run


def program(arch: int) -> Path:
    """The freestanding binary, made up to date by its own Makefile (milliseconds when it is)."""
    run(["make", "-s", "-C", PROJECT / "repro", f"build/mmxstress{arch}"], timeout=300)
    return PROJECT / "repro" / "build" / f"mmxstress{arch}"
