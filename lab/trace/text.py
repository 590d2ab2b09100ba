# SPDX-License-Identifier: GPL-2.0-or-later
"""The time diagram as text, PV and native side by side, at 132 columns. Pure."""

from __future__ import annotations

import textwrap
from itertools import zip_longest

from lab.console import text as consoletext
from lab.trace.story import Row, Story

WIDTH = 132
_GUTTER = "   "
_SIDE = (WIDTH - len(_GUTTER)) // 2
_FACTS = 22  # time, CR0.TS / believed, mm0, and a space
_LEGEND = (
    "TS: the processor's CR0.TS / what the kernel wrote last (! where they differ). mm0: whose "
    "value the register holds: role, id/serial (V victim, O opener, 0 initial). Times are virtual, "
    "in microseconds since A's FPU instruction."
)


def draw(sides: list[Story]) -> str:
    """All of it; no line is longer than 132 columns."""
    blocks = [_side(one) for one in sides]
    lines = [
        f"{left:<{_SIDE}}{_GUTTER}{right}".rstrip() if len(blocks) > 1 else left.rstrip()
        for left, right in _beside(blocks)
    ]
    lines += ["", *textwrap.wrap(_LEGEND, WIDTH)]
    for side in sides:
        lines += ["", *textwrap.wrap(f"{side.title}: {side.says}", WIDTH)]
    return "\n".join(consoletext.clean(line.encode())[:WIDTH] for line in lines) + "\n"


def _beside(blocks: list[list[str]]) -> list[tuple[str, str]]:
    second = blocks[1] if len(blocks) > 1 else []
    return list(zip_longest(blocks[0], second, fillvalue=""))


def _side(story: Story) -> list[str]:
    count = len(story.lanes)
    width = (_SIDE - _FACTS) // count - 2
    heads = [f"{lane.letter} {lane.what}" for lane in story.lanes]
    pids = ["" if lane.pid is None else f"  pid {lane.pid}" for lane in story.lanes]
    return [
        story.title[:_SIDE],
        "",
        _line("us", "TS", "mm0", heads, width),
        _line("", "", "", pids, width),
        "-" * _FACTS + f"+{'-' * (width + 1)}" * count,
        *(line for row in story.rows for line in _row(row, count, width)),
    ]


def _row(row: Row, count: int, width: int) -> list[str]:
    if row.ts is None:
        return [f"{'...':>8}  {row.gap}"[:_SIDE]]
    believed = "?" if row.believed is None else str(row.believed)
    differ = "!" if row.believed not in (None, row.ts) else " "
    cells = [row.cells.get(lane, "") for lane in range(count)]
    lines = [_line(f"{row.us:.1f}", f"{row.ts}/{believed}{differ}", row.value, cells, width)]
    if row.right is False:
        wrong = ["" if lane != row.lane else f"not {row.instead}" for lane in range(count)]
        lines.append(_line("WRONG", "", "", wrong, width))
    return lines


def _line(when: str, bits: str, value: str, cells: list[str], width: int) -> str:
    facts = f"{when[:8]:>8} {bits:<4} {value[:7]:<7}"
    lanes = "".join(f"|{cell[:width]:<{width}} " for cell in cells)
    return f"{facts:<{_FACTS}}{lanes}"[:_SIDE].rstrip()
