# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab history` and its commands, from words to exit code."""

from __future__ import annotations

from pathlib import Path

from lab.config.cellname import fits
from lab.config.keep import KeepConfig
from lab.errors import UserError
from lab.exitcodes import Exit
from lab.history import text, tidy
from lab.history.index import Index, open_index
from lab.history.result import Result
from lab.history.sincegood import find_since_good
from lab.report.terminal import Terminal
from lab.system.files import shorten

_CHANGES = 10  # that the overview shows
_MIB = 1 << 20


def show(results: Path, cell: str | None) -> int:
    """`lab history [CELL]`: all cells in a line each, or all results of those that a glob names."""
    terminal = Terminal()
    with open_index(results) as index:
        found = index.results()
    if not found:
        terminal.say(f"there are no results in {shorten(results)}")
        return Exit.OK
    if cell is None:
        terminal.rows(text.CELLS, text.list_cells(found), numbers=False)
        terminal.say(f"\n{text.LEGEND}")
        changes = text.list_changes(found, _CHANGES)
        terminal.say("\n" + "\n".join(["changes", *changes] if changes else ["no change so far"]))
        return Exit.OK
    chosen = {name: own for name, own in text.group(found).items() if fits(name, cell)}
    if not chosen:
        raise UserError(_say_unknown(cell, [result.cell for result in found]))
    for name, own in chosen.items():
        terminal.say(name)
        for line in text.describe_cell(own):
            terminal.say(line)
    return Exit.OK


def _say_unknown(cell: str, known: list[str]) -> str:
    names = list(dict.fromkeys(known))
    more = ", ..." if len(names) > 6 else ""
    return f"{cell!r} matches no cell of the history (it has {', '.join(names[:6])}{more})"


def rebuild(results: Path) -> int:
    """`lab history rebuild`."""
    with open_index(results, anew=True) as index:
        runs, found, nights = index.runs(), index.results(), index.nights()
    removed = sum(run.removed for run in runs)
    Terminal().say(
        f"{len(runs)} runs with {len(found)} results, {len(nights)} nights"
        + (f"; the evidence of {removed} runs was removed" if removed else "")
    )
    return Exit.OK


def diff(results: Path, before: str, after: str) -> int:
    """`lab history diff`: two nights, or two runs, by id."""
    terminal = Terminal()
    with open_index(results) as index:
        both = [_find(index, name) for name in (before, after)]
    for line in text.describe_difference(both[0], both[1], (before, after)):
        terminal.say(line)
    return Exit.OK


def _find(index: Index, name: str) -> list[Result]:
    if name in index.nights():
        return index.results(night=name)
    if any(run.id == name for run in index.runs()):
        return index.results(run=name)
    nights = ", ".join(index.nights()[-3:]) or "none"
    raise UserError(f"{name!r} is not a night or a run of the history (the last nights: {nights})")


def since_good(results: Path, cell: str) -> int:
    """`lab history since-good`."""
    terminal = Terminal()
    with open_index(results) as index:
        found = index.results(cell=cell)
        if not found:
            raise UserError(_say_unknown(cell, index.cells()))
    for line in text.describe_since_good(cell, find_since_good(found)):
        terminal.say(line)
    return Exit.OK


def tidy_up(results: Path, keep: KeepConfig, dry_run: bool) -> int:
    """`lab history tidy`: remove what `keep:` does not keep. 0 also when it cannot be enough."""
    terminal = Terminal()
    with open_index(results) as index:
        plan = tidy.plan(index, keep) if dry_run else tidy.tidy(index, keep)
    word = "would remove" if dry_run else "removed"
    for going in plan.going:
        terminal.say(f"{word} {going.run.id}, {_say_size(going.size)}: {going.why}")
    terminal.say(
        f"{word} {len(plan.going)} runs, {_say_size(plan.size - plan.left)}; "
        f"{_say_size(plan.left)} of evidence {'would be' if dry_run else 'are'} left"
    )
    if not plan.enough:
        terminal.say(
            f"that is more than keep.gib allows ({keep.gib:g}): what is left was not as expected, "
            "is not of a night, or is of the newest; remove by hand what is not wanted any more"
        )
    return Exit.OK


def _say_size(size: int) -> str:
    return f"{size / _MIB:.1f} MiB"
