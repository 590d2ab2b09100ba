# SPDX-License-Identifier: GPL-2.0-or-later
"""The history as lines of text, 100 columns wide at most. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from lab.history.change import Change, find_changes
from lab.history.inputs import find_changed
from lab.history.result import Result
from lab.history.sincegood import SinceGood
from lab.verdict.severity import Verdict

WIDTH = 100
SIGNS = {
    Verdict.CLEAN: ".", Verdict.CORRUPTS: "X", Verdict.CRASHED: "C", Verdict.VACUOUS: "v",
    Verdict.LAB_ERROR: "e", None: "-",
}  # fmt: skip
LEGEND = (
    "each sign is a run, the newest last: . CLEAN, X CORRUPTS, C CRASHED, v VACUOUS, e LAB_ERROR"
)
_STRIP = 24  # results that an overview shows of a cell
_RUN = 21  # the width of a run's name
CELLS = ("cell", "last", "expected", "runs", "results")


def list_cells(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """A row in the order of CELLS for each cell."""
    by_cell = group(results)
    return [
        (
            cell, say_verdict(found[-1]), say_expected(found[-1]), f"{len(found):,}",
            "".join(SIGNS[result.verdict] for result in found[-_STRIP:]),
        )
        for cell, found in by_cell.items()
    ]  # fmt: skip


def group(results: Sequence[Result]) -> dict[str, list[Result]]:
    """By cell."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.cell, []).append(result)
    return found


def say_verdict(result: Result) -> str:
    """In one word."""
    return result.verdict.value if result.verdict is not None else "impossible"


def say_expected(result: Result) -> str:
    """Whether it is as expected, else what was."""
    if result.verdict is None:
        return "-"
    if result.as_expected:
        return "yes"
    return f"no: {result.expected or 'clean'}"


def list_changes(results: Sequence[Result], most: int) -> list[str]:
    """The newest changes of all cells, with the inputs that changed beside them."""
    order = {run: number for number, run in enumerate(dict.fromkeys(r.run for r in results))}
    found = [change for cell in group(results).values() for change in find_changes(cell)]
    found.sort(key=lambda change: order[change.run])
    lines: list[str] = []
    for change in found[-most:]:
        lines += _wrap(f"{change.run}  {change.cell} {change.sentence}", "")
        lines += _list_inputs(change.inputs, " " * (_RUN + 2))
    return lines


def describe_cell(results: Sequence[Result]) -> Iterator[str]:
    """All results of one cell, each with what was new then; the rows fit 80 columns."""
    changes: dict[str, list[Change]] = {}
    for change in find_changes(results):
        changes.setdefault(change.run, []).append(change)
    yield (
        f"{'run':<{_RUN}}  {'verdict':<9}  {'expected':<12} {'windows':>8} {'hits':>6} "
        f"{'rate':>5} {'boots':>5} {'sec':>4}"
    )
    before: Result | None = None
    for result in results:
        rate = f"{result.hits / result.windows:.3f}" if result.windows else "-"
        yield (
            f"{result.run[:_RUN]:<{_RUN}}  {say_verdict(result):<9}  {say_expected(result):<12} "
            f"{result.windows:>8,} {result.hits:>6,} {rate:>5} {len(result.boots):>5} "
            f"{result.seconds:>4.0f}"
        )
        yield from _list_news(result, before, changes.get(result.run, []))
        before = result


def _list_news(result: Result, before: Result | None, changes: Sequence[Change]) -> list[str]:
    lines = []
    if result.known:
        lines += _wrap(f"known: {result.known}", "    ")
    for change in changes:
        since = f", since {change.since}" if change.since != change.run else ""
        lines += _wrap(f"> {change.sentence}{since}", "    ")
    if before is not None:
        lines += _list_inputs(find_changed(before.inputs, result.inputs), "    ")
    return lines


def _list_inputs(inputs: Mapping[str, tuple[str, str]], indent: str) -> list[str]:
    lines = []
    for name, (was, now) in inputs.items():
        lines += _wrap(f"{name}: {was or '(not known)'} -> {now or '(not known)'}", indent)
    return lines


def _wrap(text: str, indent: str) -> list[str]:
    """Further lines stand two columns further in."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
    )  # fmt: skip


def describe_difference(
    before: Sequence[Result], after: Sequence[Result], names: tuple[str, str]
) -> Iterator[str]:
    """What differs between two nights (or runs), cell by cell; the last result of a cell counts."""
    old = {result.cell: result for result in before}
    new = {result.cell: result for result in after}
    cells = list(dict.fromkeys([*old, *new]))
    same = [cell for cell in cells if _is_same(old.get(cell), new.get(cell))]
    width = max(4, *(len(cell) for cell in cells)) if cells else 4
    width = min(width, WIDTH - 2 * (_RUN + 2))
    shown = [cell for cell in cells if cell not in same]
    if shown:
        yield f"{'cell':<{width}}  {names[0]:<{_RUN}}  {names[1]}"
    for cell in shown:
        yield f"{cell:<{width}}  {_say_short(old.get(cell)):<{_RUN}}  {_say_short(new.get(cell))}"
        if cell in old and cell in new:
            yield from _list_inputs(find_changed(old[cell].inputs, new[cell].inputs), "    ")
    many = "1 cell shows" if len(same) == 1 else f"{len(same)} cells show"
    yield f"{many} the same verdict in both"
    yield from _list_common_inputs([(old[c], new[c]) for c in same])


def _is_same(before: Result | None, after: Result | None) -> bool:
    return before is not None and after is not None and before.verdict is after.verdict


def _say_short(result: Result | None) -> str:
    """Verdict and rate."""
    if result is None:
        return "not run"
    rate = f" {result.hits / result.windows:.3f}" if result.hits and result.windows else ""
    return f"{say_verdict(result)}{rate}"


def _list_common_inputs(pairs: Sequence[tuple[Result, Result]]) -> list[str]:
    """The inputs that changed without changing a verdict, each once."""
    lines: dict[str, None] = {}
    for before, after in pairs:
        for line in _list_inputs(find_changed(before.inputs, after.inputs), "    "):
            lines.setdefault(line)
    return ["other inputs that changed:", *lines] if lines else []


def describe_since_good(cell: str, found: SinceGood) -> Iterator[str]:
    """Sentences for a person."""
    if found.bad is None:
        if found.good is None:
            yield f"{cell}: no result so far was as expected, and none was the contrary"
        else:
            yield f"{cell} is as expected: {_say_result(found.good)}"
        return
    good = _say_result(found.good) if found.good else "no result before was as expected"
    yield f"last good   {good}"
    yield f"first bad   {_say_result(found.bad)}"
    yield from _wrap(found.bad.reason, " " * 12)
    if found.good is None:
        return
    yield "inputs that changed between:" if found.inputs else "no input changed between"
    yield from _list_inputs(found.inputs, "    ")


def _say_result(result: Result) -> str:
    return f"{result.run}, {say_verdict(result)}" + (f" ({result.known})" if result.known else "")
