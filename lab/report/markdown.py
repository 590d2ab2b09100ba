# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's summary.md: pure."""

from __future__ import annotations

from lab.verdict.cell import CellVerdict


def write_summary(title: str, facts: dict[str, str], cells: list[CellVerdict], repeat: str) -> str:
    """A page of Markdown: what was run, on what, what came out, how to repeat it."""
    lines = [f"# {title}", ""]
    lines += [f"- {key}: {escape(value)}" for key, value in facts.items()]
    lines += ["", "| cell | verdict | expected | windows | failed checks | why |"]
    lines += ["|---|---|---|---:|---:|---|"]
    lines += [_row(cell) for cell in cells]
    notes = [(c.cell.id, note) for c in cells for t in c.trials for note in t.notes]
    if notes:
        lines += ["", "Notes:", ""]
        lines += [f"- {cell}: {escape(note)}" for cell, note in dict.fromkeys(notes)]
    lines += ["", "Again:", "", f"    {repeat}", ""]
    return "\n".join(lines)


def _row(cell: CellVerdict) -> str:
    verdict = cell.verdict.value if cell.verdict is not None else "impossible here"
    expect = cell.cell.expect or "-"
    mark = "" if cell.as_expected or cell.verdict is None else " **(!)**"
    return (
        f"| {cell.cell.id} | {verdict}{mark} | {expect} | {cell.windows:,} | "
        f"{cell.corruptions:,} | {escape(cell.reason)} |"
    )


def escape(text: str) -> str:
    """Reasons quote consoles, which are untrusted: no HTML and no table borders from there."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("|", "\\|").replace("`", "'").replace("\n", " ")
