# SPDX-License-Identifier: GPL-2.0-or-later
"""What is running right now: the parts that run report it, a terminal shows it.

The board knows nothing about terminals. The listener gets changes as lines of text; a live
display reads ``rows`` whenever it refreshes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lab.verdict.severity import Verdict

Listener = Callable[["Row", str], None]


@dataclass(frozen=True)
class Row:
    """One thing in progress: a cell, the Xen host, a kernel build."""

    name: str
    state: str = "waiting"
    since: float = field(default_factory=time.monotonic)
    began: float | None = None  # when it left waiting
    ended: float | None = None
    usual: float | None = None  # seconds that it took last time, where known
    # Of each boot: windows and corruptions; and of each that runs, what it does.
    counted: dict[int, tuple[int, int]] = field(default_factory=dict)
    boots: dict[int, str] = field(default_factory=dict)
    verdict: Verdict | None = None
    as_expected: bool | None = None
    reason: str = ""
    where: str = ""  # who boots it, where that is not this machine

    @property
    def windows(self) -> int:
        """Of all its boots so far."""
        return sum(windows for windows, _ in self.counted.values())

    @property
    def corruptions(self) -> int:
        return sum(corruptions for _, corruptions in self.counted.values())

    @property
    def seconds(self) -> float:
        """Seconds in progress, up to now or to the end."""
        if self.began is None:
            return 0.0
        return (self.ended or time.monotonic()) - self.began


@dataclass(frozen=True)
class Span:
    """A state of something; seconds since the board was made. ``boot`` 0: of the whole."""

    name: str
    boot: int
    state: str
    begin: float
    end: float


class Board:
    """Rows by name, safe for threads; ``listener`` gets changes of state, not every count."""

    def __init__(self, listener: Listener | None = None) -> None:
        self._rows: dict[str, Row] = {}
        self._made = time.monotonic()
        self._spans: list[Span] = []
        self._open: dict[tuple[str, int], tuple[str, float]] = {}  # state and since when
        self._lock = threading.Lock()
        self._listener = listener

    @property
    def rows(self) -> list[Row]:
        with self._lock:
            return list(self._rows.values())

    @property
    def spans(self) -> list[Span]:
        """Every state so far, those that have not ended up to now, in the order of their begin."""
        with self._lock:
            now = time.monotonic() - self._made
            still = [Span(*key, state, since, now) for key, (state, since) in self._open.items()]
            return sorted([*self._spans, *still], key=lambda span: span.begin)

    def _change(self, name: str, boot: int, state: str | None) -> None:
        """End the state that there is and begin another; None: nothing follows."""
        now = time.monotonic() - self._made
        before = self._open.pop((name, boot), None)
        if before is not None:
            self._spans.append(Span(name, boot, *before, now))
        if state is not None:
            self._open[name, boot] = (state, now)

    def wait(self, name: str, what: str) -> None:
        """It waits for something, and none of its boots runs: only the spans show that."""
        with self._lock:
            row = self._rows.get(name)
            if row is None or not row.boots:
                self._change(name, 0, f"waiting for {what}")

    def add(self, name: str, usual: float | None = None) -> None:
        with self._lock:
            self._rows.setdefault(name, Row(name, usual=usual))

    def place(self, name: str, where: str) -> None:
        """Who boots it; with its next state that is reported."""
        with self._lock:
            self._rows[name] = replace(self._rows.setdefault(name, Row(name)), where=where)

    def state(self, name: str, state: str) -> None:
        """Set the state, in a few words; a repeated one is not reported.

        What begins with `note: ` is not a state but a sentence that stays on the terminal.
        """
        with self._lock:
            row = self._rows.setdefault(name, Row(name))
            if row.state == state:
                return
            if not is_note(state):
                row = self._rows[name] = self._move(row, state)
                self._change(name, 0, state)
        self._report(row, state)

    def boot(self, name: str, boot: int, state: str) -> None:
        """The same for one of several boots, which may run side by side."""
        with self._lock:
            row = self._rows.setdefault(name, Row(name))
            if row.boots.get(boot) == state:
                return
            boots = {**row.boots, boot: state}
            row = self._rows[name] = self._move(replace(row, boots=boots), join(boots))
            self._change(name, 0, None)
            self._change(name, boot, state)
        self._report(row, f"boot {boot}: {state}")

    def end_boot(self, name: str, boot: int) -> None:
        with self._lock:
            row = self._rows.setdefault(name, Row(name))
            boots = {number: state for number, state in row.boots.items() if number != boot}
            state = join(boots) if boots else row.state
            self._rows[name] = self._move(replace(row, boots=boots), state)
            self._change(name, boot, None)

    def _move(self, row: Row, state: str) -> Row:
        now = time.monotonic()
        return replace(row, state=state, since=now, began=row.began or now)

    def counts(self, name: str, windows: int, corruptions: int, boot: int = 1) -> None:
        """What one boot has counted so far."""
        with self._lock:
            row = self._rows[name]
            first = corruptions and not row.corruptions
            row = replace(row, counted={**row.counted, boot: (windows, corruptions)})
            self._rows[name] = row
        if first:
            self._report(row, f"corruption seen after {row.seconds:.1f} s")

    def finish(
        self, name: str, verdict: Verdict | None, reason: str, as_expected: bool | None
    ) -> None:
        with self._lock:
            row = self._rows.setdefault(name, Row(name))
            now = time.monotonic()
            row = replace(
                row, state="done", since=now, ended=now, began=row.began or now,
                verdict=verdict, reason=reason, as_expected=as_expected,
            )  # fmt: skip
            self._rows[name] = row
            self._change(name, 0, None)
        self._report(
            row,
            f"{verdict.value}: {reason}" if verdict is not None else reason or "done",
        )

    def _report(self, row: Row, text: str) -> None:
        if self._listener:
            self._listener(row, text)


def is_note(state: str) -> bool:
    """Whether what was reported is to stay on the terminal."""
    return state.startswith("note: ")


def join(boots: dict[int, str]) -> str:
    """What several boots do, in a few words: pure."""
    states = dict.fromkeys(boots[number] for number in sorted(boots))
    said = []
    for state in states:
        numbers = [str(number) for number in sorted(boots) if boots[number] == state]
        said.append(f"boot{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}: {state}")
    return "; ".join(said)
