# SPDX-License-Identifier: GPL-2.0-or-later
"""The time diagram as SVG, PV and native side by side: each value in its owner's colour. Pure."""

from __future__ import annotations

import textwrap
from xml.sax.saxutils import escape

from lab.console import text as consoletext
from lab.trace.story import Row, Story

_SIDE, _GUTTER, _MARGIN = 620, 30, 20
_STEP, _HEAD = 22, 96  # a row's height; from the top to the first row
_TIME, _TS, _VALUE, _LANES = 60, 72, 132, 206  # x of the columns within a side
_COLOURS = ("#1b6ca8", "#b8500c", "#2a7f3e")  # of tasks A, B, C and of their values
_OTHER, _WRONG, _RIGHT = "#777777", "#c00020", "#2a7f3e"
_STYLE = (
    "text{font:12px monospace;fill:#222}.h{font:bold 14px sans-serif}.s{font:12px sans-serif}"
    ".r{text-anchor:end}.m{text-anchor:middle}.d{fill:#666}.w{fill:#c00020;font-weight:bold}"
)
_LEGEND = (
    "CR0.TS: the processor's bit / what the kernel wrote last; red where they differ. "
    "Times are virtual, in microseconds since A's FPU instruction.",
    "mm0: whose value the register holds, in its owner's colour: role, id/serial "
    "(V victim, O opener, 0 initial).",
)


def draw(sides: list[Story]) -> str:
    """All of it, as one image without scripts, fonts or references of its own."""
    rows = max(len(side.rows) + sum(row.right is False for row in side.rows) for side in sides)
    words = [_wrap(side, len(sides)) for side in sides]
    height = _HEAD + rows * _STEP + 20 + 17 * max(len(lines) for lines in words) + 3 * 17 + _MARGIN
    width = 2 * _MARGIN + len(sides) * _SIDE + (len(sides) - 1) * _GUTTER
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><style>{_STYLE}</style>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    below = _HEAD + rows * _STEP + 20
    for number, (side, lines) in enumerate(zip(sides, words, strict=True)):
        x = _MARGIN + number * (_SIDE + _GUTTER)
        parts.append(f'<g transform="translate({x},0)">{"".join(_side(side, rows))}')
        parts += [_text(0, below + 17 * n, line, "s") for n, line in enumerate(lines)]
        parts.append("</g>")
    for number, line in enumerate(reversed(_LEGEND)):
        parts.append(_text(_MARGIN, height - _MARGIN - 17 * number, line, "s d"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _wrap(side: Story, sides: int) -> list[str]:
    return textwrap.wrap(side.says, 100 if sides > 1 else 110)


def _side(side: Story, rows: int) -> list[str]:
    lane = (_SIDE - _LANES) / len(side.lanes)
    colours = _owners(side)
    parts = [_text(0, 24, side.title, "h"), _text(_TIME, _HEAD - 14, "us", "r d")]
    parts += [_text(_TS, _HEAD - 14, "CR0.TS", "d"), _text(_VALUE, _HEAD - 14, "mm0", "d")]
    for number, task in enumerate(side.lanes):
        x, colour = _LANES + number * lane, _COLOURS[number]
        parts.append(_rect(x + 2, _HEAD - 48, lane - 4, 40, colour, 0.15))
        parts.append(_text(x + 8, _HEAD - 31, f"{task.letter}  {task.what}"))
        pid = "" if task.pid is None else f"pid {task.pid}"
        parts.append(_text(x + 8, _HEAD - 15, pid, "d"))
        parts.append(_rect(x + 2, _HEAD, lane - 4, rows * _STEP, colour, 0.04))
    y = float(_HEAD)
    for row in side.rows:
        parts += _row(row, y, lane, colours)
        y += _STEP * (2 if row.right is False else 1)
    return parts


def _owners(side: Story) -> dict[str, str]:
    """The colour of each owner's values: V1, O2 and so on, by the lane that loads them."""
    found: dict[str, str] = {}
    for row in side.rows:
        for lane, text in row.cells.items():
            word = text.removeprefix("has ")
            if word != text and 0 <= lane < len(_COLOURS):
                found.setdefault(word.split("/")[0], _COLOURS[lane])
    return found


def _row(row: Row, y: float, lane: float, colours: dict[str, str]) -> list[str]:
    base = y + 15
    if row.ts is None:
        return [_text(_LANES + 12, base, f"... {row.gap} ...", "d")]
    differ = row.believed not in (None, row.ts)
    believed = "?" if row.believed is None else str(row.believed)
    parts = [_text(_TIME, base, f"{row.us:.1f}", "r")]
    parts.append(_rect(_TS, y + 2, 46, _STEP - 4, _WRONG if differ else _OTHER, 0.25))
    parts.append(_text(_TS + 23, base, f"{row.ts} / {believed}", "m w" if differ else "m"))
    colour = colours.get(row.value.split("/")[0], _OTHER)
    parts.append(_rect(_VALUE, y + 2, 66, _STEP - 4, colour, 0.9))
    parts.append(_text(_VALUE + 33, base, row.value, "m", "#ffffff"))
    for number, text in row.cells.items():
        if number >= 0:
            parts += _cell(row, number, text, y, lane)
    return parts


def _cell(row: Row, number: int, text: str, y: float, lane: float) -> list[str]:
    x = _LANES + number * lane
    if row.right is None or number != row.lane:
        edge = _rect(x + 2, y, 4, _STEP, _COLOURS[number], 1)
        return [edge, _text(x + 12, y + 15, text)]
    height = _STEP if row.right else 2 * _STEP
    colour = _RIGHT if row.right else _WRONG
    parts = [_rect(x + 2, y + 1, lane - 4, height - 2, colour, 0.2)]
    parts.append(_text(x + 12, y + 15, text, "" if row.right else "w"))
    if not row.right:
        parts.append(_text(x + 12, y + 15 + _STEP, f"not {row.instead}", "w"))
    return parts


def _rect(x: float, y: float, width: float, height: float, fill: str, opacity: float) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'fill="{fill}" fill-opacity="{opacity}" rx="2"/>'
    )


def _text(x: float, y: float, text: str, kind: str = "", fill: str = "") -> str:
    style = f' style="fill:{fill}"' if fill else ""
    safe = escape(consoletext.clean(text.encode()))
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}"{style}>{safe}</text>'
