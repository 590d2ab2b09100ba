# SPDX-License-Identifier: GPL-2.0-or-later
"""The gdb that a replay is handed to: its command line, and its life on the user's terminal."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, UserError
from lab.system.process import tie
from lab.system.project import PYTHON_PATH


@dataclass(frozen=True)
class Session:
    """What gdb is given. ``elfs``: files with symbols, the kernel's first where there is one."""

    gdb: str
    elfs: Sequence[Path]
    socket: Path
    facts: Path  # for lab.gdb.inside
    commands: Sequence[str] = ()  # given: they are run one after the other, and gdb ends


def find() -> str:
    """Where gdb is; UserError when it is not installed."""
    path = shutil.which("gdb")
    if path is None:
        raise UserError("gdb is not installed: `apt-get install gdb` gives it, then run this again")
    return path


def argv(session: Session) -> list[str]:
    """The command line of gdb: pure.

    -nx in batch only: a person keeps the settings of their ~/.gdbinit, a script is the same
    everywhere.
    """
    batch = ["-batch", "-nx"] if session.commands else []
    before = [
        "set confirm off",
        "set pagination off",
        # QEMU describes the processor; without a kernel's symbols gdb knows nothing else of it.
        "set architecture i386:x86-64",
        *(f"add-symbol-file {_quote(elf)}" for elf in session.elfs[1:]),
        # The folder is another Python's where the lab is installed: gdb is to see no more of it.
        f"python import sys; sys.path.insert(0, {str(PYTHON_PATH)!r}); import lab.gdb.inside; "
        f"sys.path.remove({str(PYTHON_PATH)!r}); lab.gdb.inside.begin({str(session.facts)!r})",
        f"target remote {session.socket}",
    ]
    words = [session.gdb, "-q", *batch]
    for command in (*before, *session.commands):
        words += ["-ex", command]
    return [*words, str(session.elfs[0])]


def _quote(path: Path) -> str:
    """As gdb's own words are quoted."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def run(words: Sequence[str]) -> int:
    """Let gdb have our terminal, until it ends; its exit code. It ends with the lab too."""
    with _deaf():
        try:
            # TERM, so that gdb gives the terminal back as it was.
            process = subprocess.Popen(tie(words, "TERM"))
        except OSError as error:
            raise LabError(f"gdb could not be started: {error}") from error
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C belongs to gdb. A handler, not SIG_IGN, which gdb would inherit."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
