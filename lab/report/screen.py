# SPDX-License-Identifier: GPL-2.0-or-later
"""A run on one screen of plain text, for a mail: pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from lab.console.text import clean
from lab.report.outline import Outline, say_outcome
from lab.report.table import list_unexpected

_WIDTH = 76
MOST_LINES = 40
_MOST = 10  # cells that have a line or two of their own
_FACTS = ("machine", "qemu", "xen", "night", "job", "command")


def write_screen(outline: Outline) -> str:
    """At most 40 lines of 76 columns; the first line is a subject."""
    cells = list(outline.cells)
    lines = [*_wrap(f"{outline.run}: {say_outcome(cells)}", ""), ""]
    wrong = list_unexpected(cells)
    for cell, why in wrong[:_MOST]:
        lines += _wrap(f"  {cell}: {why}", "    ")[:2]
    lines += [f"  and {len(wrong) - _MOST} more"] if len(wrong) > _MOST else []
    lines += [""] if wrong else []
    lines += [line for line in _count(outline) if line]
    lines += [""]
    for name in _FACTS:
        if outline.facts.get(name):
            lines += _wrap(f"{name + ':':<9}{outline.facts[name]}", " " * 9)[:2]
    return "\n".join(lines[:MOST_LINES]) + "\n"


def _count(outline: Outline) -> Sequence[str]:
    """How many cells showed what."""
    words = [c.verdict.value if c.verdict is not None else "impossible" for c in outline.cells]
    counts = ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
    windows, hits = sum(c.windows for c in outline.cells), sum(c.hits for c in outline.cells)
    boots = sum(len(c.trials) for c in outline.cells)
    seconds = sum(c.seconds for c in outline.cells)
    return (
        *_wrap(f"cells:   {counts}", " " * 9),
        f"boots:   {boots:,}; {windows:,} windows, {hits:,} of them hit; {seconds:,.0f} s of boots",
    )


def _wrap(text: str, indent: str) -> list[str]:
    plain = clean(text.encode(errors="replace")).replace("\n", " ")
    return textwrap.wrap(plain, _WIDTH, subsequent_indent=indent, replace_whitespace=False)
