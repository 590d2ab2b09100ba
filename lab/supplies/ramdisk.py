# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's ramdisk: the stress program as /init and two device nodes, nothing else.

Written as a cpio archive (newc, kernel: Documentation/driver-api/early-userspace/buffer-format)
here: device nodes in it need no root, and equal input gives equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

_DIRECTORY, _FILE, _CHARACTER = 0o040000, 0o100000, 0o020000


@dataclass(frozen=True)
class _Entry:
    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def ramdisk(program: bytes) -> bytes:
    """An uncompressed cpio archive whose /init is ``program``; boots on 2.6.26 and 7.x alike."""
    entries = [
        _Entry("dev", _DIRECTORY | 0o755),
        _Entry("dev/console", _CHARACTER | 0o600, device=(5, 1)),
        _Entry("dev/null", _CHARACTER | 0o666, device=(1, 3)),
        _Entry("dev/zero", _CHARACTER | 0o666, device=(1, 5)),
        _Entry("dev/kmsg", _CHARACTER | 0o644, device=(1, 11)),
        _Entry("proc", _DIRECTORY | 0o755),
        _Entry("sys", _DIRECTORY | 0o755),
        _Entry("init", _FILE | 0o755, program),
        _Entry("TRAILER!!!", 0),
    ]
    archive = b"".join(_encode(number, entry) for number, entry in enumerate(entries, 1))
    return archive + b"\0" * (-len(archive) % 512)


def _encode(inode: int, entry: _Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if entry.mode & _DIRECTORY == _DIRECTORY else 1
    numbers = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name))
    header = b"070701" + b"".join(b"%08x" % number for number in (*numbers, 0))
    return _pad(header + name) + _pad(entry.data)


def _pad(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def file_in(archive: bytes, wanted: str) -> bytes | None:
    """The content of a file in an uncompressed newc archive; None when it is not in it.

    Never raises: the archive may come from a stranger.
    """
    at = 0
    while archive[at : at + 6] == b"070701" and at + 110 <= len(archive):
        try:
            fields = [int(archive[at + n : at + n + 8], 16) for n in range(6, 110, 8)]
        except ValueError:
            return None
        size, name_size = fields[6], fields[11]
        data = at + 110 + name_size
        name = archive[at + 110 : data - 1]
        data += -data % 4
        if name == wanted.encode():
            return archive[data : data + size]
        at = data + size
        at += -at % 4
    return None
