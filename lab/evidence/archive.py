# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as one file that can be handed over: RUN.zip, with all hashes, signed where wanted.

    RUN/export.json        format, run, and the SHA-256 of every other file but the signature
    RUN/export.json.sig    by `ssh-keygen -Y sign`, where a key was given
    RUN/...                the run's files, sorted

The same folder makes the same archive, to the byte. An archive comes from strangers: a name in it
is checked before it is used, nothing but plain files is unpacked, and never more than the limits
say, whatever the archive's own headers do.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lab.errors import UserError
from lab.evidence.content import dump
from lab.evidence.run import RunFolder
from lab.system.files import replacing, sha256
from lab.system.signature import sign

FORMAT = 1
SUFFIX = ".zip"
_LIST, _SIGNATURE = "export.json", "export.json.sig"
_MIB = 1 << 20
MOST_FILES = 100_000
MOST_BYTES = 8192 * _MIB  # of all files, unpacked
_MOST_LIST = 64 * _MIB
_BLOCK = 1 << 16
_PART = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_NOT_ZIP = "it is a damaged zip archive or none at all"
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows; the manifest has the real one


@dataclass(frozen=True)
class Unpacked:
    """An archive's content, its hashes checked. ``signed``: what was, and by what signature."""

    folder: Path
    listed: bytes
    signature: bytes | None


def export(run: RunFolder, output: Path, key: Path | None) -> int:
    """Write the archive; returns its size in bytes. UserError for a run that is not sealed."""
    if not (run.path / "hashes.json").is_file():
        raise UserError(
            f"{run.path}: is not sealed, because the run was interrupted or has not ended; "
            "`lab run --resume` ends it"
        )
    files = _list_files(run.path)
    listed = dump({
        "format": FORMAT, "run": run.path.name,
        "files": {name: sha256(path) for name, path in files.items()},
    }).encode()  # fmt: skip
    top = run.path.name
    with replacing(output) as out, zipfile.ZipFile(out, "w") as archive:
        _add(archive, f"{top}/{_LIST}", listed)
        if key is not None:
            _add(archive, f"{top}/{_SIGNATURE}", sign(listed, key))
        for name, path in files.items():
            _add(archive, f"{top}/{name}", path)
    return output.stat().st_size


def _list_files(folder: Path) -> dict[str, Path]:
    """By name, sorted; hidden ones are not evidence. UserError for what is not a plain file."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name.startswith(".") or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file():
            raise UserError(f"{path}: is not a plain file, so the run cannot be exported")
        if name in (_LIST, _SIGNATURE):
            raise UserError(f"{path}: has the name of an archive's own list")
        found[name] = path
    return found


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path) -> None:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.create_system = 3  # Unix, whatever made it
    with archive.open(info, "w", force_zip64=True) as out:
        if isinstance(content, bytes):
            out.write(content)
            return
        with content.open("rb") as source:
            while block := source.read(_BLOCK):
                out.write(block)


def unpack(path: Path, into: Path) -> Unpacked:
    """Unpack into an empty folder; UserError for what is not a whole archive of a run."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpack(archive, into)
    except OSError as error:
        # A damaged archive makes the library seek to places before its beginning.
        why = _NOT_ZIP if error.errno == errno.EINVAL else f"({error.strerror or error})"
        raise UserError(f"{path}: cannot be unpacked: {why}") from None
    except _DamagedError as error:
        raise UserError(f"{path}: is not a whole archive of a run: {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise UserError(f"{path}: is not a whole archive of a run: {_NOT_ZIP}") from None


class _DamagedError(Exception):
    """What is wrong with an archive, in a phrase."""


def _unpack(archive: zipfile.ZipFile, into: Path) -> Unpacked:
    members = _check_members(archive.infolist())
    top = next(iter(members)).partition("/")[0]
    if f"{top}/{_LIST}" not in members:
        raise _DamagedError(f"it has no {_LIST}")
    listed = _read(archive, members.pop(f"{top}/{_LIST}"))
    hashes = _read_list(listed, top)
    signed = members.pop(f"{top}/{_SIGNATURE}", None)
    signature = _read(archive, signed) if signed is not None else None
    names = {name.partition("/")[2] for name in members}
    if names != hashes.keys():
        odd = min(names ^ hashes.keys())
        raise _DamagedError(f"{odd!r:.120} is in its list or in the archive, and not in both")
    left = MOST_BYTES
    for name, info in members.items():
        digest, size = _extract(archive, info, into / name, left)
        left -= size
        if digest != hashes[name.partition("/")[2]]:
            raise _DamagedError(f"the hash of {name!r:.120} is not the one in its list")
    return Unpacked(into / top, listed, signature)


def _check_members(infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """By name: plain files below one folder, each once."""
    if not 0 < len(infos) <= MOST_FILES:
        raise _DamagedError(f"it holds {len(infos):,} files; 1 to {MOST_FILES:,} are right")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        parts = info.filename.split("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        plain = all(_PART.fullmatch(part) and part not in (".", "..") for part in parts)
        if not plain or len(parts) < 2 or kind not in (0, stat.S_IFREG):
            raise _DamagedError(f"it holds {info.filename!r:.120}, which is not a file of a run")
        if info.filename in found:
            raise _DamagedError(f"it holds {info.filename!r:.120} twice")
        found[info.filename] = info
    tops = {name.partition("/")[0] for name in found}
    if len(tops) != 1 or not _RUN.fullmatch(min(tops)):
        raise _DamagedError("it does not hold one run's folder")
    folders = {str(parent) for name in found for parent in PurePosixPath(name).parents}
    if folders & found.keys():
        raise _DamagedError("it holds a file and a folder of one name")
    return found


def _read_list(listed: bytes, top: str) -> dict[str, str]:
    try:
        content: Any = json.loads(listed)
        hashes = content["files"]
        sound = content["run"] == top and all(isinstance(one, str) for one in hashes.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _DamagedError(f"its {_LIST} is malformed") from None
    if content.get("format") != FORMAT:
        raise _DamagedError(
            f"it has format {content.get('format')!r:.20}, this lab reads format {FORMAT}"
        )
    if not sound:
        raise _DamagedError(f"its {_LIST} is not of this run")
    return dict(hashes)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as data:
        content = data.read(_MOST_LIST + 1)
    if len(content) > _MOST_LIST:
        raise _DamagedError(f"{info.filename!r:.120} is larger than {_MOST_LIST // _MIB} MiB")
    return content


def _extract(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, left: int
) -> tuple[str, int]:
    """Unpack one file, never more than ``left`` bytes; its SHA-256 and its size."""
    digest, size = hashlib.sha256(), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as data, path.open("xb") as out:
        while block := data.read(_BLOCK):
            size += len(block)
            if size > left:
                raise _DamagedError(f"it holds more than {MOST_BYTES // _MIB:,} MiB")
            digest.update(block)
            out.write(block)
    return digest.hexdigest(), size
