"""Files that are whole or absent, and their hashes; where the cache is."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lab.errors import LabError

PROJECT = Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Everything that can be made again: ``$LAB_CACHE``, else ``~/.cache/xen-fpu-lab``."""
    configured = os.environ.get("LAB_CACHE")
    base = Path(configured).resolve() if configured else Path.home() / ".cache" / "xen-fpu-lab"
    base.mkdir(parents=True, exist_ok=True)
    return base


def write_atomic(path: Path, content: str | bytes) -> None:
    """A reader sees the old file or the new one."""
    with replacing(path) as out:
        out.write(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the path's place at the block's end: temporary file, fsync and
    rename. A block that raises leaves what there was.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


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


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock file, so that two builds of one thing do not collide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def building(final: Path) -> Iterator[Path]:
    """A scratch folder beside ``final`` that takes its place when the block succeeds.

    An interrupted build leaves nothing under the final name; its scratch folder is removed
    by the next attempt. Hold ``locked`` around it.
    """
    scratch = final.with_name(f".{final.name}.building")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    yield scratch
    shutil.rmtree(final, ignore_errors=True)
    scratch.rename(final)


def require_space(folder: Path, mebibytes: int, what: str) -> None:
    """A LabError when ``folder``'s file system has less than ``mebibytes`` free."""
    free = shutil.disk_usage(folder).free >> 20
    if free < mebibytes:
        raise LabError(f"{what} needs {mebibytes} MiB in {folder}, only {free} MiB are free")


def short(path: Path) -> str:
    """Relative to where the user stands, when it is below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
