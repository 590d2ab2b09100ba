# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are whole or absent, and their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def write_atomic(path: Path, content: str | bytes, durable: bool = True) -> None:
    """A reader sees the old file or the new one.

    ``durable`` False: without waiting for the disk, for what can be made again at any time.
    """
    with replacing(path, durable) as out:
        out.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file to write that takes the path's place at the block's end: temporary file, fsync and
    rename. A block that raises leaves what there was. ``durable`` False: no fsync.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            if durable:
                os.fsync(out.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def read_from(path: Path, at: int, most: int) -> bytes:
    """A file's bytes from a place on (from its beginning, where that is negative), ``most`` of
    them at most.
    """
    with path.open("rb") as source:
        source.seek(max(0, at))
        return source.read(most)


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def sha256_of(*parts: str | bytes) -> str:
    """Hex digest of several parts, each with its length, so that their borders count."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def shorten(path: Path) -> str:
    """The path as the user would write it: relative when it is below the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
