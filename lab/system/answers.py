# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers that take long to get and stay true until a file changes: apt's, hashes, versions.

Each is kept in the cache with the stamps of the files that it depends on, and is asked for anew
as soon as one of them differs. Evidence is never checked by a remembered hash.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from stat import S_ISDIR

from lab.system import files
from lab.system.cache import cache_dir
from lab.system.files import sha256_of, write_atomic

Stamp = list[list[str | int]]
# A file that was changed a moment ago may change again within one tick of its file system's
# clock and look the same: what depends on it is not kept yet.
_SETTLED_NS = 2_000_000_000


def remember(what: Sequence[str], depends: Iterable[Path | str], ask: Callable[[], str]) -> str:
    """The answer of ``ask`` to ``what``, as long as the files and folders in ``depends`` stay.

    A folder stands for everything below it, and a file that is not there for its absence.
    What ``ask`` raises is not remembered.
    """
    paths = list(dict.fromkeys(map(str, depends)))

    def stamps() -> dict[str, Stamp]:
        return {path: stamp(path) for path in paths}

    before = stamps()
    file = cache_dir() / "answers" / f"{sha256_of(*what)[:32]}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(file.read_text())
        if known["what"] == list(what) and known["depends"] == before:
            return str(known["answer"])
    asked = time.time_ns()
    answer = ask()
    settled = all(_newest(one) < asked - _SETTLED_NS for one in before.values())
    if settled and before == stamps():
        file.parent.mkdir(exist_ok=True)
        record = {"what": list(what), "depends": before, "answer": answer}
        write_atomic(file, json.dumps(record) + "\n")
    return answer


def stamp(path: str) -> Stamp:
    """What a change of a file, or of anything below a folder, would alter; [] when absent.

    For each file: its name, inode, size, and the times of its last change in nanoseconds. The
    second time (ctime) cannot be set back by a program that restores the first (mtime).
    """
    found: Stamp = []
    waiting = [Path(path)]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError):
            state = one.stat()
            folder = S_ISDIR(state.st_mode)
            size = 0 if folder else state.st_size
            found.append([str(one), state.st_ino, size, state.st_mtime_ns, state.st_ctime_ns])
            if folder and not one.is_symlink():
                waiting += sorted(one.iterdir())
    return found


def _newest(found: Stamp) -> int:
    return max((int(time_ns) for one in found for time_ns in one[3:]), default=0)


def cached_sha256(path: Path) -> str:
    """A file's SHA-256, computed once for each state of the file."""
    whole = str(path.absolute())
    return remember(["sha256", whole], [whole], lambda: files.sha256(path))
