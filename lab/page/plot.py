# SPDX-License-Identifier: GPL-2.0-or-later
"""Drawings for a page, as SVG elements in its own style sheet's colours. Pure.

Each has a name for screen readers; the page has its figures as a table beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from lab.console.visible import reveal
from lab.page.scale import Scale, fit, fit_rates, say

WIDTH = 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 10, 30  # margins around the area of a plot


@dataclass(frozen=True)
class Interval:
    """A figure at a place of the horizontal axis (0, 1, 2...), with its bounds.

    ``kind``: ``good``, ``bad`` or ``none``, a class of the style sheet. ``value`` None: only the
    upper bound is known, because nothing was seen.
    """

    at: int
    value: float | None
    low: float
    high: float
    kind: str = "none"


@dataclass(frozen=True)
class Mark:
    """A vertical line between two places: ``change`` or ``series`` (a known change of input)."""

    at: float
    kind: str


@dataclass(frozen=True)
class Bar:
    """A stretch of time in a row: ``kind`` is a class, ``says`` what a pointer shows."""

    row: int
    begin: float
    end: float
    kind: str
    says: str


def frame(name: str, height: int, parts: Iterable[str], width: int = WIDTH) -> str:
    """The element around a drawing."""
    return (
        f'<svg class="plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label={_quote(name)}>{"".join(parts)}</svg>'
    )


def draw_lines(
    name: str,
    series: Sequence[Sequence[tuple[float, float]]],
    kind: str,
    x_name: str,
    width: int = WIDTH // 2,
    height: int = 150,
) -> str:
    """One line for each series of (x, y); both axes begin at 0."""
    x = fit((point[0] for one in series for point in one), _LEFT, width - _RIGHT)
    y = fit((point[1] for one in series for point in one), height - _BOTTOM, _TOP)
    parts = [*_axes(x, y, width, height), _text(width - _RIGHT, height - 3, x_name, "e d")]
    for one in series:
        places = " ".join(f"{x.at(a)},{y.at(b)}" for a, b in one)
        parts.append(f'<polyline class="line {kind}" points="{places}"/>')
        if one:
            a, b = one[-1]
            parts.append(f'<circle class="dot {kind}" cx="{x.at(a)}" cy="{y.at(b)}" r="2.5"/>')
    return frame(name, height, parts, width)


def draw_intervals(
    name: str,
    points: Sequence[Interval],
    marks: Sequence[Mark],
    labels: Sequence[tuple[int, str]],
    height: int = 190,
) -> str:
    """Figures with their bounds in the order of time; a logarithmic axis where they span decades.

    ``labels``: what stands below a place.
    """
    last = max([point.at for point in points] + [at for at, _ in labels], default=0)
    x = Scale(-0.5, last + 0.5, _LEFT, WIDTH - _RIGHT)
    seen = [v for p in points for v in (p.value, p.low, p.high) if v]
    y = fit_rates(seen, height - _BOTTOM, _TOP)
    parts = list(_axes(Scale(0, 0, 0, 0), y, WIDTH, height))
    parts += [_text(x.at(at), height - 12, text, "m") for at, text in labels]
    for mark in marks:
        parts.append(_line(x.at(mark.at), _TOP, x.at(mark.at), height - _BOTTOM, mark.kind))
    # One path for all of a kind: a year of nights is a few hundred bytes more.
    whiskers: dict[str, str] = {}
    dots: dict[str, str] = {}
    for point in points:
        place, top = x.at(point.at), y.at(point.high)
        if point.value is None:  # nothing was seen: an arrow down from the bound
            whiskers[point.kind] = f"{whiskers.get(point.kind, '')}M{place - 3} {top}h6m-3 0v7"
            dots[point.kind] = f"{dots.get(point.kind, '')}M{place - 3} {top + 5}h6l-3 4z"
            continue
        if point.high > point.low:
            down = round(y.at(point.low) - top, 1)
            whiskers[point.kind] = f"{whiskers.get(point.kind, '')}M{place} {top}v{down}"
        dots[point.kind] = dots.get(point.kind, "") + _draw_dot(place, y.at(point.value))
    parts += [f'<path class="whisker {kind}" d="{path}"/>' for kind, path in whiskers.items()]
    parts += [f'<path class="dot {kind}" d="{path}"/>' for kind, path in dots.items()]
    return frame(name, height, parts)


def _draw_dot(x: float, y: float) -> str:
    return f"M{x} {round(y - 3, 1)}l3 3-3 3-3-3z"


def draw_dots(
    name: str,
    dots: Sequence[tuple[int, float]],
    labels: Sequence[tuple[int, str]],
    first: int,
    last: int,
    height: int = 140,
) -> str:
    """Several figures at each place, from ``first`` to ``last``; the axis begins at 0."""
    x = Scale(first - 0.5, last + 0.5, _LEFT, WIDTH - _RIGHT)
    y = fit((value for _, value in dots), height - _BOTTOM, _TOP)
    parts = list(_axes(Scale(0, 0, 0, 0), y, WIDTH, height))
    parts += [_text(x.at(at), height - 12, text, "m") for at, text in labels]
    path = "".join(_draw_dot(x.at(at), y.at(value)) for at, value in dots)
    return frame(name, height, [*parts, f'<path class="dot hits" d="{path}"/>'])


def draw_strips(
    name: str, rows: Sequence[str], boxes: Sequence[tuple[int, int, int, bool, str]], last: int
) -> str:
    """Rows of boxes: row, first and last place, whether it has the other colour, what it says."""
    step, left = 18, 92
    x = Scale(-0.5, last + 0.5, left, WIDTH - _RIGHT)
    parts = [_text(left - 6, step * n + 15, row, "e") for n, row in enumerate(rows)]
    for row, begin, end, odd, says in boxes:
        here, there = x.at(begin - 0.5), x.at(end + 0.5)
        parts.append(
            f'<rect class="strip{" odd" if odd else ""}" x="{here}" y="{step * row + 3}" '
            f'width="{round(there - here, 1)}" height="{step - 4}"><title>{_escape(says)}</title>'
            "</rect>"
        )
    return frame(name, step * len(rows) + 6, parts)


def draw_bars(name: str, rows: Sequence[str], bars: Sequence[Bar], x_name: str) -> str:
    """Stretches of time in rows that have names."""
    step, left = 20, 8 + min(230, 7 * max((len(row) for row in rows), default=0))
    height = _TOP + step * len(rows) + _BOTTOM
    x = fit((bar.end for bar in bars), left, WIDTH - 2 * _RIGHT)
    bottom = height - _BOTTOM
    parts = []
    for tick in x.ticks():
        parts.append(_line(x.at(tick), _TOP, x.at(tick), bottom, "grid"))
        parts.append(_text(x.at(tick), bottom + 13, say(tick), "m d"))
    parts.append(_text(WIDTH - _RIGHT, height - 3, x_name, "e d"))
    for number, row in enumerate(rows):
        parts.append(_text(left - 6, _TOP + step * number + 14, _cut(row, (left - 8) // 7), "e"))
    for bar in bars:
        begin, end, y = x.at(bar.begin), x.at(bar.end), _TOP + step * bar.row + 3
        size = f'x="{begin}" y="{y}" width="{max(1.0, round(end - begin, 1))}" height="{step - 6}"'
        title = f"<title>{_escape(bar.says)}</title>"
        parts.append(f'<rect class="bar {bar.kind}" {size}>{title}</rect>')
    return frame(name, height, parts)


def _axes(x: Scale, y: Scale, width: int, height: int) -> Iterable[str]:
    for tick in y.ticks():
        yield _line(_LEFT, y.at(tick), width - _RIGHT, y.at(tick), "grid")
        yield _text(_LEFT - 5, y.at(tick) + 4, say(tick), "e d")
    if x.high > x.low:
        for tick in x.ticks():
            yield _text(x.at(tick), height - _BOTTOM + 14, say(tick), "m d")
    yield _line(_LEFT, height - _BOTTOM, width - _RIGHT, height - _BOTTOM, "axis")


def _line(x: float, y: float, to_x: float, to_y: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x} {y}L{to_x} {to_y}"/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{_escape(text)}</text>'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _escape(text: str) -> str:
    return escape(reveal(text))


def _quote(text: str) -> str:
    return quoteattr(reveal(text))
