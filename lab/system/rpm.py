# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel packages of the RPM kind, read without rpm: only the kernel's own files are taken out.

A package is a lead, two headers and a compressed cpio archive (the "newc" format of cpio(5)):
https://rpm-software-management.github.io/rpm/manual/format_v4.html. Its signature is not checked.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from lab.errors import LabError, UserError
from lab.system.cache import building, cache_dir, locked
from lab.system.files import sha256
from lab.system.process import filter_bytes

_LEAD, _LEAD_SIZE = b"\xed\xab\xee\xdb", 96
_HEADER = b"\x8e\xad\xe8\x01"
_NAME, _VERSION, _RELEASE = 1000, 1001, 1002  # tags of strings
_CPIO, _CPIO_SIZE, _END = b"07070", 110, "TRAILER!!!"
_REGULAR = 0o100000
# Where distributions have a kernel: /boot, or with its modules (Fedora 20, RHEL 8, SUSE 15.3).
_WANTED = re.compile(
    r"(?:\./|/)?((?:boot/(?:vmlinuz|config|System\.map)-|"
    r"(?:usr/)?lib/modules/[^/]+/(?:vmlinuz|config|System\.map)$)[^/]*)"
)
_DAMAGED = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, struct.error)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Rpm:
    """An .rpm file. ``payload``: where in it the archive begins."""

    name: str
    version: str  # with its release
    file: Path
    sha256: str
    payload: int

    def provenance(self) -> dict[str, str]:
        return {"package": self.name, "version": self.version, "sha256": self.sha256}


def read_rpm(file: Path) -> Rpm:
    """Name and version of an .rpm file; UserError when it is not one."""
    if not file.is_file():
        raise UserError(f"{file}: there is no such .rpm file")
    try:
        with file.open("rb") as rpm:
            if rpm.read(_LEAD_SIZE)[:4] != _LEAD:
                raise ValueError("it does not begin as one")
            _read_header(rpm)  # signatures
            rpm.seek(-rpm.tell() % 8, io.SEEK_CUR)
            tags = _read_header(rpm)
            payload = rpm.tell()
        version = f"{tags[_VERSION]}-{tags[_RELEASE]}"
        return Rpm(tags[_NAME], version, file, sha256(file), payload)
    except KeyError as error:
        raise UserError(f"{file} is not an RPM package: it has no tag {error}") from None
    except _DAMAGED as error:
        raise UserError(f"{file} is not an RPM package: {error}") from None


def unpack(package: Rpm) -> Path:
    """The kernel's files in the cache, unpacked once; keyed by the content of the .rpm.

    UserError when the archive in it is damaged.
    """
    folder = cache_dir() / "unpacked" / f"{package.name}-{package.sha256[:16]}"
    with locked(folder.with_name(folder.name + ".lock")):
        if not folder.is_dir():
            with building(folder) as scratch:
                _unpack(package, scratch)
    return folder


def _unpack(package: Rpm, into: Path) -> None:
    try:
        with package.file.open("rb") as rpm:
            rpm.seek(package.payload)
            for name, content in _list_files(_decompress(rpm)):
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                (into / name).write_bytes(content)
    except (*_DAMAGED, LabError) as error:
        raise UserError(f"{package.file}: the archive in it does not unpack: {error}") from None


def _read_header(rpm: IO[bytes]) -> dict[int, str]:
    """The strings of a header by tag; the file is then where it ends."""
    magic, count, size = struct.unpack(">4s4xII", rpm.read(16))
    if magic != _HEADER:
        raise ValueError("a header is damaged")
    index = [struct.unpack(">IIII", rpm.read(16)) for _ in range(count)]
    store = rpm.read(size)
    if len(store) < size:
        raise ValueError("it is cut off")
    return {
        tag: store[at:].split(b"\0", 1)[0].decode(errors="replace")
        for tag, kind, at, _ in index
        if kind == 6  # a string
    }


def _decompress(rpm: IO[bytes]) -> _Readable:
    begin = rpm.read(6)
    rpm.seek(-len(begin), io.SEEK_CUR)
    if begin.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=rpm)
    if begin.startswith((b"\xfd7zXZ", b"\x5d\0\0")):
        return lzma.LZMAFile(rpm)
    if begin.startswith(b"BZh"):
        return bz2.BZ2File(rpm)
    if begin.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BytesIO(filter_bytes(["zstd", "-dcq"], rpm.read()))
    if begin.startswith(_CPIO):
        return rpm
    raise ValueError(f"a compression that is not known (it begins with {begin.hex()})")


def _list_files(archive: _Readable) -> Iterator[tuple[str, bytes]]:
    """The kernel's own files of a cpio archive. Links are passed over."""
    while True:
        head = archive.read(_CPIO_SIZE)
        if len(head) < _CPIO_SIZE or head[:5] != _CPIO or head[5:6] not in b"12":
            raise ValueError("it is cut off, or not a cpio archive")
        mode, size, length = (int(head[6 + 8 * n : 14 + 8 * n], 16) for n in (1, 6, 11))
        name = _read_padded(archive, length, _CPIO_SIZE).rstrip(b"\0").decode(errors="replace")
        if name == _END:
            return
        wanted = _WANTED.fullmatch(name) if mode & 0o170000 == _REGULAR else None
        content = _read_padded(archive, size, 0)
        if wanted and ".." not in name.split("/"):
            yield wanted[1], content


def _read_padded(archive: _Readable, size: int, before: int) -> bytes:
    """So many bytes, and those up to the next boundary of four."""
    padded = size + -(before + size) % 4
    content = archive.read(padded)
    if len(content) < padded:
        raise ValueError("it is cut off")
    return content[:size]
