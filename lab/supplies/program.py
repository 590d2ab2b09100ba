# SPDX-License-Identifier: GPL-2.0-or-later
"""The stress program's binaries and the counter, made by its own Makefile."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from lab.system.cache import building, cache_dir, locked
from lab.system.files import sha256_of
from lab.system.process import run
from lab.system.project import INSTALLED, data

SOURCE = data("repro")


def program(arch: int) -> Path:
    """The freestanding binary: a checkout's own in repro/build, made up to date (milliseconds
    when it is); an installed lab's in the cache.
    """
    return _find(f"build/mmxstress{arch}")


def counter() -> Path:
    """The program that shows whether a board's console loses bytes (repro/counter.c)."""
    return _find("build/counter")


def probe(bits: int) -> Path:
    """The guest of our own (repro/probe): 64 for pv and dom0, 32 for native, hvm and pvh."""
    return _find("build/probe-pv" if bits == 64 else "build/probe-bare")


def _find(name: str) -> Path:
    if INSTALLED:
        return build_cached(SOURCE) / name
    _make(SOURCE, name)
    return SOURCE / name


def build_cached(source: Path) -> Path:
    """A copy of ``source`` with its binaries in it, built once for each content.

    ``source`` may be read-only, and may be gone when a debugger looks for it, so the binaries
    name the copy.
    """
    files = sorted(path for path in source.rglob("*") if path.is_file())
    files = [path for path in files if path.relative_to(source).parts[0] != "build"]
    names = [str(path.relative_to(source)) for path in files]
    parts = (
        part for name, path in zip(names, files, strict=True) for part in (name, path.read_bytes())
    )
    final = cache_dir() / "program" / sha256_of(*parts)[:16]
    with locked(final.with_name(f"{final.name}.lock")):
        if not final.is_dir():
            with building(final) as scratch:
                for name, path in zip(names, files, strict=True):
                    (scratch / name).parent.mkdir(exist_ok=True)
                    shutil.copyfile(path, scratch / name)
                map_ = shlex.quote(f"-fdebug-prefix-map={scratch}={final}")
                _make(scratch, "all", f"CC=gcc {map_}")
    return final


def _make(folder: Path, *words: str) -> None:
    run(["make", "-s", "-C", folder, *words], timeout=300)
