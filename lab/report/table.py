# SPDX-License-Identifier: GPL-2.0-or-later
"""The closing table as rows of text, narrow enough for 100 columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lab.verdict.cell import CellVerdict

HEADINGS = (
    "cell", "verdict", "expected", "windows", "tried", "hits", "boots", "how sure", "seconds",
)  # fmt: skip
ROOMY = 100  # columns of a terminal; a narrower one has no room for TRIED
TRIED = HEADINGS.index("tried")
LEFT = 3  # columns of words; the others hold numbers
# A window is tried when a victim woke in it; a hit is a window in which a check failed.
HOW_SURE = "how sure: the probability that a kernel {times} the control would have been caught"


def make_row(cell: CellVerdict) -> tuple[str, ...]:
    """One cell in the order of HEADINGS; a missing figure is a dash."""
    verdict = cell.verdict
    if verdict is None:
        return (cell.cell.id, "impossible", "-", "-", "-", "-", "-", "-", "-")
    return (
        cell.cell.id, verdict.value, _say_expected(cell), f"{cell.windows:,}",
        "-" if cell.tried is None else f"{cell.tried:,}", f"{cell.hits:,}",
        f"{len(cell.trials):,}", _sure(cell), f"{cell.seconds:.0f}",
    )  # fmt: skip


def how_sure(miss: float | None) -> str:
    """A probability near 1, written so that the part that matters is seen: ``1 - 9e-07``."""
    if miss is None:
        return "-"
    return "1" if miss <= 0 else f"1 - {miss:.0e}"


def _sure(cell: CellVerdict) -> str:
    return how_sure(cell.miss if cell.miss is not None else cell.miss_so_far)


def _say_expected(cell: CellVerdict) -> str:
    if cell.as_expected:
        return "yes"
    return f"no: {cell.cell.expect or 'clean'}"


def explain(safety: float) -> str:
    """What the column "how sure" means, in one sentence."""
    times = f"{safety:g} times less bad than" if safety > 1 else "as bad as"
    return HOW_SURE.format(times=times)


def has_sure(cells: Sequence[CellVerdict]) -> bool:
    """Whether any cell says how sure it is."""
    return any(_sure(cell) != "-" for cell in cells)


def list_unexpected(cells: Sequence[CellVerdict]) -> list[tuple[str, str]]:
    """Cell and reason of each cell that is not as expected or is impossible here."""
    found = []
    for cell in cells:
        if cell.verdict is None:
            found.append((cell.cell.id, f"impossible: {cell.reason}"))
        elif not cell.as_expected:
            found.append((cell.cell.id, f"{cell.verdict.value}: {cell.reason}"))
    return found
