# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell's results say that the ones before did not, and which inputs differ. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.history.result import Result
from lab.page.tone import name_verdict
from lab.verdict.severity import Verdict

_INPUTS_AFTER = ("kernel", "xen", "qemu", "accelerator", "firmware", "dom0", "program", "settings",
                 "machine", "rules")  # fmt: skip


@dataclass(frozen=True)
class News:
    """A result, the one that it is compared with, in a sentence; and the inputs that differ."""

    result: Result
    says: str
    inputs: tuple[tuple[str, str, str], ...]  # name, before, after


def compare_inputs(before: Result, after: Result) -> tuple[tuple[str, str, str], ...]:
    """Name, what it was, what it is; only those that both results know."""
    names = [*_INPUTS_AFTER, *(n for n in after.inputs if n not in _INPUTS_AFTER)]
    return tuple(
        (name, before.inputs[name], after.inputs[name])
        for name in names
        if name in before.inputs
        and name in after.inputs
        and before.inputs[name] != after.inputs[name]
    )


def find_news(results: Sequence[Result]) -> list[News]:
    """Every change of a cell's verdict. ``results``: of one cell, in the order of time.

    A fault of the lab says nothing about the cell, so it is passed over.
    """
    found = []
    last: Result | None = None
    for result in results:
        if result.verdict in (None, Verdict.LAB_ERROR):
            continue
        if last is not None and last.verdict is not result.verdict:
            says = (
                f"{name_verdict(result.verdict)}; it was {name_verdict(last.verdict)} "
                f"on {last.began[:10]}"
            )
            found.append(News(result, says, compare_inputs(last, result)))
        last = result
    return found
