# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user sees: live progress on a terminal, plain lines elsewhere, the closing table.

The one owner of rich. Colour only on a terminal; text from a console is always escaped.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lab.report.board import Board, Row, is_note
from lab.report.table import (
    HEADINGS,
    LEFT,
    ROOMY,
    TRIED,
    explain,
    has_sure,
    list_unexpected,
    make_row,
)
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

_COLOUR = {
    Verdict.CLEAN: "green", Verdict.VACUOUS: "yellow", Verdict.LAB_ERROR: "magenta",
    Verdict.CRASHED: "magenta", Verdict.CORRUPTS: "red",
}  # fmt: skip
_SPINNER = "|/-\\"


class Terminal:
    """Writes to standard output; ``board`` is what the run reports its progress to."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _console()
        self._began = time.monotonic()
        self._live = self.console.is_terminal
        self.board = Board(self._note if self._live else self._line)

    @classmethod
    def board_only(cls) -> Terminal:
        """For a step of a longer command: progress on a terminal, otherwise nothing."""
        terminal = cls()
        return terminal if terminal.console.is_terminal else cls(Console(quiet=True))

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(Text(text), soft_wrap=True)

    def wrap(self, text: str) -> None:
        """Print a line, broken between words where it is too long, as far in as it begins."""
        words = text.lstrip(" ")
        self.console.print(Padding(Text(words), (0, 0, 0, len(text) - len(words))))

    def _line(self, row: Row, text: str) -> None:
        elapsed = time.monotonic() - self._began
        begins = row.usual and row.ended is None and row.seconds < 1
        usual = f" (about {row.usual:.0f} s)" if begins else ""
        where = f"{row.where:<12} " if row.where else ""
        self.say(f"{elapsed:7.1f}s  {row.name:<28} {where}{text}{usual}")

    def _note(self, row: Row, text: str) -> None:
        """Where the board is live only notes become lines, above it."""
        if is_note(text):
            self._line(row, text)

    @contextlib.contextmanager
    def progress(self) -> Iterator[None]:
        """While the block runs, show the board (live on a terminal)."""
        if not self._live:
            yield
            return
        with Live(
            get_renderable=self._board, console=self.console, refresh_per_second=4, transient=True
        ):
            yield

    def _board(self) -> RenderableType:
        rows = self.board.rows
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("", width=1)
        shown = _worth_showing(rows, self.console.height - 6)
        elsewhere = any(row.where for row in shown)
        for title in ("what", *(["where"] if elsewhere else []), "state"):
            table.add_column(title, no_wrap=True)
        for title in ("seconds", "windows", "corrupt"):
            table.add_column(title, justify="right", no_wrap=True)
        for row in shown:
            mark, name, *rest = self._cells(row)
            table.add_row(mark, name, *([Text(row.where)] if elsewhere else []), *rest)
        waiting = sum(row.began is None for row in rows)
        done = sum(row.ended is not None for row in rows)
        elapsed = time.monotonic() - self._began
        foot = Text(
            f"{done} done, {len(rows) - done - waiting} running, {waiting} waiting; "
            f"{elapsed:.0f} s so far{_remaining(rows)}; Ctrl-C ends with what there is",
            style="dim",
        )
        return Group(table, foot)

    def _cells(self, row: Row) -> tuple[RenderableType, ...]:
        if row.verdict is not None:
            mark = Text(
                "." if row.as_expected else "!", style="green" if row.as_expected else "red"
            )
            state = Text(row.verdict.value, style=_COLOUR[row.verdict])
        elif row.ended is not None:
            mark, state = Text("."), Text(row.reason or "done", style="dim")
        elif row.began is None:
            mark, state = Text(" "), Text("waiting", style="dim")
        else:
            mark = Text(_SPINNER[int(time.monotonic() * 4) % 4], style="cyan")
            state = Text(row.state)
        usual = f" of ~{row.usual:.0f}" if row.usual and row.ended is None and row.began else ""
        seconds = f"{row.seconds:.0f}{usual}" if row.began is not None else ""
        windows = f"{row.windows:,}" if row.windows else ""
        corrupt = Text(f"{row.corruptions:,}" if row.corruptions else "", style="red")
        return mark, Text(row.name), state, Text(seconds), Text(windows), corrupt

    def rows(
        self, headings: tuple[str, ...], rows: list[tuple[str, ...]], numbers: bool = True
    ) -> None:
        """A plain table of text; ``numbers``: all columns but the first hold figures."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, heading in enumerate(headings):
            # Words may be broken where there is no room; a name and a figure may not.
            table.add_column(
                heading, justify="right" if number and numbers else "left",
                no_wrap=numbers or number == 0, overflow="fold",
                min_width=max((len(row[0]) for row in rows), default=0) if number == 0 else None,
            )  # fmt: skip
        for row in rows:
            table.add_row(*(escape(text) for text in row))
        self.console.print(table)

    def table(self, cells: Sequence[CellVerdict], safety: float) -> None:
        """The closing table; ``safety`` is that of the run's confidence settings."""
        headings, *made = (self._fit(row) for row in (HEADINGS, *map(make_row, cells)))
        gap = self._gap([headings, *made])
        table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")
        for number, heading in enumerate(headings):
            left = number < LEFT
            table.add_column(heading, justify="left" if left else "right", no_wrap=number > 0,
                             overflow="fold")  # fmt: skip
        for cell, words in zip(cells, made, strict=True):
            style = _COLOUR[cell.verdict] if cell.verdict is not None else "dim"
            wrong = "red" if cell.verdict is not None and not cell.as_expected else ""
            styles = ("", style, wrong, *("" for _ in words[LEFT:]))
            table.add_row(*(Text(w, style=s) for w, s in zip(words, styles, strict=True)))
        self.console.print(table)
        if has_sure(cells):
            self.say(explain(safety))
        for name, why in list_unexpected(cells):
            self.say(f"  {name}  {why}")

    def _fit(self, row: tuple[str, ...]) -> tuple[str, ...]:
        return row if self.console.width >= ROOMY else (*row[:TRIED], *row[TRIED + 1 :])

    def _gap(self, rows: list[tuple[str, ...]]) -> int:
        """Two spaces between columns where the width allows it, else one."""
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return 2 if sum(widths) + 2 * len(widths) <= self.console.width else 1


def _console() -> Console:
    """Standard output; lines to a file or a pipe, which have no width, are not wrapped."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def _worth_showing(rows: list[Row], room: int) -> list[Row]:
    """All rows if they fit; else running ones first, then finished ones, newest first."""
    if len(rows) <= max(room, 5):
        return rows
    running = [row for row in rows if row.began is not None and row.ended is None]
    done = [row for row in rows if row.ended is not None]
    waiting = [row for row in rows if row.began is None]
    return (running + done[::-1] + waiting)[: max(room, 5)]


def _remaining(rows: list[Row]) -> str:
    """An estimate of the rest from earlier durations; empty where one is not known."""
    unknown = [row for row in rows if row.ended is None and row.usual is None]
    if unknown or not rows:
        return ""
    rest = sum(max(0.0, (row.usual or 0) - row.seconds) for row in rows if row.ended is None)
    return f", at most {rest:.0f} s to go" if rest else ""
