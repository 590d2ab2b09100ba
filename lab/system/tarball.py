# SPDX-License-Identifier: GPL-2.0-or-later
"""Unpacking a tarball that somebody else has made.

What it may hold is files, folders and symbolic links that stay inside: the rules of tarfile's
data filter, which Debian 12's Python (3.11.2) does not have.
"""

from __future__ import annotations

import lzma
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lab.errors import LabError

_PIECE = 1 << 20


def read_unpacked(file: Path) -> Iterator[bytes]:
    """An .xz file's content in pieces; LabError when it is cut off or not one."""
    try:
        with lzma.open(file) as source:
            while piece := source.read(_PIECE):
                yield piece
    except (lzma.LZMAError, EOFError) as error:
        raise LabError(f"{file} is cut off or is not an .xz file ({error})") from None


def unpack(file: Path, into: Path) -> None:
    """Fill ``into``, which must not exist, with what the one folder of a tarball holds.

    Times are those of now: what is written is newer than what was built before. LabError for
    a damaged tarball, and for one that would write outside, whose files are removed again.
    """
    into.mkdir()
    try:
        with tarfile.open(file) as tar:
            _write_members(tar, into, file.name)
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        shutil.rmtree(into)
        raise LabError(f"{file} cannot be unpacked: {error}") from None
    except LabError:
        shutil.rmtree(into)
        raise


def _write_members(tar: tarfile.TarFile, into: Path, name: str) -> None:
    links: list[tuple[Path, str]] = []
    for member in tar:
        target = into / _check_name(member.name)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        elif member.issym():
            links.append((target, member.linkname))
        elif member.isreg():
            _write_file(tar, member, target)
        else:
            raise LabError(f"{name}: {member.name} is not a file, a folder or a symbolic link")
    for target, goal in links:  # last: nothing is written through one
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(goal)
    for target, goal in links:
        if not target.resolve().is_relative_to(into.resolve()):
            raise LabError(f"{name}: the link {target.name} leads outside, to {goal}")


def _check_name(name: str) -> PurePosixPath:
    """A member's path without the tarball's one folder; LabError when it leads outside."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise LabError(f"a tarball wants to write outside of its folder: {name}")
    return PurePosixPath(*path.parts[1:])


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None  # of a regular file
    with source, target.open("xb") as out:
        shutil.copyfileobj(source, out, _PIECE)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
