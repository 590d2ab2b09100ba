# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel image says of itself: version, and whether Xen can start it.

Sources: the kernel's Documentation/arch/x86/boot.rst for the header, Xen's public
elfnote.h for the notes.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.console.release import read_release
from lab.errors import LabError, UserError
from lab.system.answers import remember
from lab.system.process import filter_bytes

_ELFNOTE_ENTRY = 1  # XEN_ELFNOTE_ENTRY: where Xen enters a PV kernel
_ELFNOTE_PHYS32_ENTRY = 18  # XEN_ELFNOTE_PHYS32_ENTRY: where Xen enters a PVH kernel


@dataclass(frozen=True)
class BzImage:
    """``version`` as in `uname -r`; ``pv``, ``pvh``: which entries Xen finds; ``bits``: 64 or 32.

    None: not readable.
    """

    version: str
    pv: bool | None
    pvh: bool | None
    bits: int | None = None

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor; (0, 0) when the version does not begin with numbers."""
        return read_release(self.version)[:2]


def read(path: Path) -> BzImage:
    """Read the header and Xen's notes; UserError when this is not a whole bzImage.

    Unpacking a distribution's kernel takes seconds: what it says is remembered.
    """
    whole = str(path.absolute())
    said = remember(["bzImage 1", whole], [whole], lambda: json.dumps(asdict(_read(path))))
    return BzImage(**json.loads(said))


def unpack(image: bytes, path: Path) -> bytes | None:
    """The decompressed vmlinux of a bzImage; None for a compressor that is not known.

    UserError when it is not a whole bzImage; ``path`` is for the message.
    """
    setup_sectors = _check(image, path)
    try:
        return _unpack(image, setup_sectors)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise _refuse(path, error) from None


def _refuse(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: the bzImage is corrupt, its kernel does not unpack: {error}")


def _check(image: bytes, path: Path) -> int:
    """How many sectors the boot code takes; UserError when this is not a whole bzImage."""
    if len(image) < 0x260 or image[0x1FE:0x200] != b"\x55\xaa" or image[0x202:0x206] != b"HdrS":
        raise UserError(f"{path}: is not a bzImage (no boot header); give arch/x86/boot/bzImage")
    setup_sectors = image[0x1F1] or 4
    paragraphs = struct.unpack_from("<I", image, 0x1F4)[0]
    whole = (setup_sectors + 1) * 512 + paragraphs * 16
    if len(image) < whole - 16:
        raise UserError(
            f"{path}: the bzImage is cut off, {len(image)} of {whole} bytes; build or copy it again"
        )
    return setup_sectors


def _read(path: Path) -> BzImage:
    try:
        image = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: the kernel cannot be read ({error.strerror})") from None
    vmlinux = unpack(image, path)
    try:
        bits, notes = _look_into(vmlinux) if vmlinux is not None else (None, None)
    except ValueError as error:
        raise _refuse(path, error) from None
    pv = None if notes is None else _ELFNOTE_ENTRY in notes
    pvh = None if notes is None else _ELFNOTE_PHYS32_ENTRY in notes
    return BzImage(_read_version(image), pv, pvh, bits)


def _read_version(image: bytes) -> str:
    offset = struct.unpack_from("<H", image, 0x20E)[0]
    if not offset:
        return ""
    text = image[offset + 0x200 : offset + 0x300].split(b"\0")[0]
    words = text.decode("ascii", errors="replace").split()
    return words[0] if words else ""


def _unpack(image: bytes, setup_sectors: int) -> bytes | None:
    """The decompressed vmlinux; None before boot protocol 2.08 or for an unknown compressor."""
    if struct.unpack_from("<H", image, 0x206)[0] < 0x208:
        return None
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = (setup_sectors + 1) * 512 + offset
    return _decompress(image[begin : begin + length])


def _decompress(packed: bytes) -> bytes | None:
    if packed.startswith(b"\x1f\x8b"):
        return gzip.decompress(packed[:-4]) if _has_size(packed) else gzip.decompress(packed)
    if packed.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(packed)
    if packed.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(packed)
    if packed.startswith(b"\x5d\0\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(packed)
    try:
        if packed.startswith(b"\x28\xb5\x2f\xfd"):
            return filter_bytes(["zstd", "-dcq"], packed[:-4])
        if packed.startswith(b"\x02\x21\x4c\x18"):
            return filter_bytes(["lz4", "-dc"], packed[:-4])
    except LabError as error:
        raise ValueError(str(error)) from error
    return packed if packed.startswith(b"\x7fELF") else None


def _has_size(packed: bytes) -> bool:
    """Old kernels append the size to gzip too; Python's gzip calls that trailing garbage."""
    body = zlib.decompressobj(31)
    body.decompress(packed)
    return len(body.unused_data) == 4


def _look_into(vmlinux: bytes) -> tuple[int | None, set[int | str] | None]:
    """The width of an ELF file, and the types of the notes that are for Xen; ValueError when it
    is damaged. (None, None) for another format.
    """
    # Imported here: what it finds is remembered, so that few runs need it.
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile
    from elftools.elf.enums import ENUM_NOTE_N_TYPE
    from elftools.elf.segments import NoteSegment

    if not vmlinux.startswith(b"\x7fELF"):
        return None, None
    try:
        elf = ELFFile(io.BytesIO(vmlinux))
        parts = [part for part in elf.iter_segments() if isinstance(part, NoteSegment)]
        notes = [note for part in parts for note in part.iter_notes()]
    except (ELFError, KeyError, OverflowError) as error:
        raise ValueError(f"its ELF file is damaged ({error})") from error
    # GNU's names stand for the numbers 1 to 5, whosever note it is.
    types = {ENUM_NOTE_N_TYPE.get(n["n_type"], n["n_type"]) for n in notes if n["n_name"] == "Xen"}
    return elf.elfclass, types
