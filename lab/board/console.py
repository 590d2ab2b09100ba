# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's serial console, followed into a file from the first byte."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.board.source import Source, describe, open_source
from lab.config.board import BoardConfig
from lab.errors import LabError
from lab.system.clock import now
from lab.system.deadline import Deadline

NOTES = "console.notes"  # beside the console: when a connection was lost, and when it was back
_OPEN_SECONDS = 10.0
_RETRY_SECONDS = 0.5
_TAKE_SECONDS = 0.2
_QUIET_SECONDS = 0.3  # of silence: nothing is on its way any more
_DRAIN_SECONDS = 5.0
_MOST_LOST_SECONDS = 60.0  # without a connection: a terminal server that restarts takes less

Opener = Callable[[BoardConfig, Path, bool], Source]


class Console:
    """Made without side effects."""

    def __init__(self, name: str, config: BoardConfig, opener: Opener = open_source) -> None:
        self._name = name
        self._config = config
        self._opener = opener

    @contextlib.contextmanager
    def follow(self, path: Path) -> Iterator[Following]:
        """While the block runs, every byte of the console is appended to ``path``, as it is.

        The console is open when the block begins; LabError, a sentence, when it cannot be opened,
        and at the block's end when the file could not be written. A lost connection is opened
        again; ``console.notes`` beside the file says when, and after which byte. At the end, what
        is still on its way is waited for.
        """
        following = Following(self._name, describe(self._config), path)
        source = self._open(following)
        thread = threading.Thread(
            target=following.run, args=(source, lambda: self._connect(following, again=True)),
            name=f"console of {self._name}", daemon=True,
        )  # fmt: skip
        thread.start()
        try:
            yield following
        finally:
            following.stop.set()
            thread.join()
        following.check()

    def _connect(self, following: Following, again: bool) -> Source:
        return self._opener(self._config, following.notes, again)

    def _open(self, following: Following) -> Source:
        deadline = Deadline(_OPEN_SECONDS)
        while True:
            try:
                return self._connect(following, again=False)
            except OSError as error:
                if deadline.expired:
                    raise LabError(
                        f"{self._name}: its console ({describe(self._config)}) cannot be opened: "
                        f"{' '.join(str(error).split())[:200]}"
                    ) from None
            deadline.pause(_RETRY_SECONDS)


class Following:
    """A console that is being followed, in a thread of its own."""

    def __init__(self, name: str, console: str, path: Path) -> None:
        self._name = name
        self._console = console
        self._path = path
        self._failed: OSError | None = None
        self.notes = path.with_name(NOTES)
        self.stop = threading.Event()
        self.size = 0  # bytes so far
        self.losses = 0  # how often the connection was lost
        self.connected = True
        self._lost: float | None = None  # since when, on the monotonic clock

    def find_problem(self) -> str:
        """Why it is useless to wait any longer, in a sentence; empty while it is not."""
        lost = self._lost
        if lost is None or time.monotonic() - lost < _MOST_LOST_SECONDS:
            return ""
        return (
            f"{self._name}: its console ({self._console}) is gone after {self.size} bytes, and "
            f"could not be opened again for {_MOST_LOST_SECONDS:.0f} s"
        )

    def refuse_losses(self) -> None:
        """LabError where the connection was lost: what is not in the file may have been said."""
        if self.losses:
            raise LabError(
                f"{self._name}: the connection to its console ({self._console}) was lost "
                f"{self.losses} times ({NOTES}): what it did not show says nothing"
            )

    def check(self) -> None:
        """LabError when the file could not be written: the console is then not whole."""
        if self._failed is not None:
            raise LabError(f"{self._name}: {self._path} cannot be written: {self._failed}")

    def wait_for_bytes(self, deadline: Deadline) -> None:
        """Until the console shows anything at all.

        LabError when time is up: a power control that says "on" is not a machine that lives.
        """
        while self.size == 0:
            self.check()
            if deadline.expired:
                raise LabError(
                    f"{self._name}: its power control says that it is on, but its console "
                    f"({self._console}) stayed silent for {deadline.seconds:.0f} s: "
                    "the machine is off or dead, or this is not its serial port"
                )
            deadline.pause(0.05)

    def run(self, source: Source, reconnect: Callable[[], Source]) -> None:
        """The thread: until ``stop`` and a moment of silence after it."""
        current: Source | None = source
        drain: Deadline | None = None
        try:
            with self._path.open("ab", buffering=0) as out:
                while drain is None or not drain.expired:
                    if current is None and self.stop.is_set():
                        return
                    current = current or self._reopen(reconnect)
                    if current is None:
                        continue
                    stopping = drain is not None
                    data = self._take(current, _QUIET_SECONDS if stopping else _TAKE_SECONDS)
                    if data is None:
                        current = None
                    elif data:
                        _write(out.write, data)
                        self.size += len(data)
                    elif stopping:
                        return
                    if drain is None and self.stop.is_set():
                        drain = Deadline(_DRAIN_SECONDS)
        except OSError as error:  # the file's: the console's own are losses
            self._failed = error
        finally:
            self.connected = False
            if current is not None:
                _close(current)

    def _take(self, source: Source, seconds: float) -> bytes | None:
        """None when the connection is lost."""
        try:
            return source.take(seconds)
        except OSError as error:
            self.connected = False
            self._lost = time.monotonic()
            self.losses += 1
            self._note(f"lost after {self.size} bytes: {' '.join(str(error).split())}")
            _close(source)
            return None

    def _reopen(self, reconnect: Callable[[], Source]) -> Source | None:
        try:
            source = reconnect()
        except OSError:
            self.stop.wait(_RETRY_SECONDS)
            return None
        self.connected = True
        self._lost = None
        self._note(f"open again after {self.size} bytes")
        return source

    def _note(self, text: str) -> None:
        with self.notes.open("a") as out:
            out.write(f"{now()} {self._console}: {text}\n")


def _write(write: Callable[[memoryview], int | None], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[write(rest) or 0 :]


def _close(source: Source) -> None:
    with contextlib.suppress(OSError):
        source.close()
