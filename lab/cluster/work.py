# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker does: boot an attempt in a process and a folder of its own, and say what it sees.

These functions are sent to a worker by name, and run there. The console is said while it grows:
a corruption that was seen by a worker that dies is not lost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.cluster import store
from lab.cluster.attempt import CONSOLE, Answer, Attempt, Said
from lab.cluster.version import explain_difference, name_version
from lab.console.text import tail
from lab.console.watch import Ending
from lab.evidence.rules import hash_rules
from lab.qemu import accelerator, choice
from lab.qemu.identity import read_firmware
from lab.system.machine import describe
from lab.system.process import tie
from lab.system.project import PYTHON_PATH
from lab.system.scratch import open_scratch

Say = Callable[[Said], None]
_POLL = 0.1  # seconds between looks at the console's size
_PIECE = 1 << 16  # bytes of the console in one message, at most
_LOG = 1 << 16  # of QEMU's own messages, at most

_running: dict[str, subprocess.Popen[bytes]] = {}
_lock = threading.Lock()


def survey(wanted: str) -> dict[str, Any]:
    """What this machine is and boots with; ``wanted``: the accelerator, as in lab.yaml."""
    binary = choice.choose(wanted)
    accel = accelerator.decide(binary, wanted)
    return {
        "lab": name_version(),
        "rules": hash_rules(),
        **describe(),
        "qemu": {**asdict(binary), "path": str(binary.path)},
        "accelerator": asdict(accel),
        "firmware": read_firmware(binary.path),
    }


def run_attempt(attempt: Attempt, worker: str, say: Say) -> Answer:
    """Boot it; ``say`` is given that it has begun, and the console as it grows."""
    if attempt.version != name_version():
        why = explain_difference("the controller", attempt.version, name_version())
        return Answer(refused=f"refused by the worker {worker}: {why}")
    lacks = store.list_missing(attempt.files.values())
    if lacks:
        return Answer(lacks=tuple(lacks))
    with open_scratch("attempt") as folder:
        for name, digest in attempt.files.items():
            (folder / name).symlink_to(store.find(digest))
        console = Stream(attempt.id, worker, folder / CONSOLE, say)
        say(Said(attempt.id, "begun", worker))
        ending = _boot(attempt, folder, console)
        log = folder / "qemu.log"
        return Answer(
            ending,
            console.read(),
            log.read_bytes()[-_LOG:] if log.is_file() else b"",
        )


def interrupt(attempt: str) -> None:
    """End a boot that runs here; nothing happens where it does not."""
    with _lock:
        process = _running.get(attempt)
        if process is not None and process.poll() is None:
            process.terminate()


def _boot(attempt: Attempt, folder: Path, console: Stream) -> Ending:
    request = {
        "folder": str(folder), "argv": attempt.argv, "seconds": attempt.seconds,
        "to_power_off": attempt.to_power_off,
    }  # fmt: skip
    path = os.pathsep.join(filter(None, [str(PYTHON_PATH), os.environ.get("PYTHONPATH")]))
    with (folder / "child.log").open("wb") as errors:
        process = subprocess.Popen(
            tie([sys.executable, "-m", "lab.cluster.child"]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
    with _lock:
        _running[attempt.id] = process
    try:
        said = _follow(process, json.dumps(request).encode(), console)
    finally:
        with _lock:
            del _running[attempt.id]
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        why = tail((folder / "child.log").read_bytes(), 1) or f"it ended with {process.returncode}"
        return Ending("lab_error", f"the attempt's own process failed: {why}")
    return Ending(**json.loads(said))


def _follow(process: subprocess.Popen[bytes], request: bytes, console: Stream) -> bytes:
    """What the process says at its end; the console is streamed meanwhile."""
    given: bytes | None = request
    while True:
        try:
            said, _ = process.communicate(given, timeout=_POLL)
        except subprocess.TimeoutExpired:
            given = None
            console.send()
            continue
        console.send()
        return said


class Stream:
    """A console that grows, said piece by piece."""

    def __init__(self, attempt: str, worker: str, path: Path, say: Say) -> None:
        self._attempt = attempt
        self._worker = worker
        self._path = path
        self._say = say
        self._sent = 0

    def send(self) -> None:
        """What has been added since the last call."""
        try:
            with self._path.open("rb") as source:
                source.seek(self._sent)
                while piece := source.read(_PIECE):
                    self._say(Said(self._attempt, "console", self._worker, self._sent, piece))
                    self._sent += len(piece)
        except FileNotFoundError:
            pass  # QEMU has not made it yet

    def read(self) -> bytes:
        return self._path.read_bytes() if self._path.is_file() else b""
