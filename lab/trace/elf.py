# SPDX-License-Identifier: GPL-2.0-or-later
"""The ELF files that name the addresses of a capsule's boot, checked to belong to it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from lab.errors import UserError
from lab.kernel import symbols
from lab.kernel.symbols import Symbols
from lab.replay.capsule import Capsule
from lab.supplies.ramdisk import file_in

# Debian's xen-hypervisor-*-dbg
_XEN_SYMS = Path("/usr/lib/debug/boot")
_PIECE = 4096  # of Xen's code, at places where nothing is filled in when it is linked or packed


def find_kernel(capsule: Capsule, given: Path | None) -> Path:
    """The vmlinux: ``given``, else the capsule's own; UserError when none of them fits."""
    found = given or capsule.vmlinux
    if found is None:
        raise UserError(
            f"{capsule.path}: holds no symbols of its kernel: give the vmlinux that was built "
            "with it by --vmlinux"
        )
    if not found.is_file():
        raise UserError(f"--vmlinux: {found} is not a file")
    if not symbols.fits(found, capsule.folder / "kernel"):
        has, wanted = symbols.read_banner(found), symbols.read_version(capsule.folder / "kernel")
        raise UserError(f"{found} is {has or 'not a kernel'}, the capsule's kernel is {wanted}")
    return found


def read_kernel(vmlinux: Path) -> Symbols:
    """The kernel's symbols."""
    return symbols.read(vmlinux, str(vmlinux))


def extract_program(capsule: Capsule) -> bytes:
    """The stress program, out of the ramdisk; UserError when it is not there."""
    found = file_in((capsule.folder / "ramdisk").read_bytes(), "init")
    if found is None:
        raise UserError(f"{capsule.path}: its ramdisk holds no /init")
    return found


def find_xen(capsule: Capsule, given: Path | None) -> Path | None:
    """The xen-syms: ``given``, else an installed one that fits; None without one."""
    image = capsule.folder / "xen"
    if given is not None:
        if not given.is_file():
            raise UserError(f"--xen-syms: {given} is not a file")
        if not image.exists() or not has_same_code(given, image.read_bytes()):
            raise UserError(f"{given} is not of the capsule's Xen")
        return given
    return find_fitting(_XEN_SYMS.glob("xen-syms*"), image) if image.exists() else None


def find_fitting(found: Iterable[Path], image: Path) -> Path | None:
    """The first of these whose code is in the image."""
    content = image.read_bytes()
    return next((path for path in sorted(found) if has_same_code(path, content)), None)


def has_same_code(elf: Path, image: bytes) -> bool:
    """Whether the first bytes of an ELF file's .text are in an image made of it."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        text = ELFFile(io.BytesIO(elf.read_bytes())).get_section_by_name(".text")
        piece = text.data()[:_PIECE] if text is not None else b""
    except (ELFError, ValueError, OverflowError, OSError):
        return False
    return len(piece) == _PIECE and piece in image
