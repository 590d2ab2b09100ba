# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's schedule: what ran beside what, and what waited for what. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.page.plot import Bar, draw_bars
from lab.report.board import Span

KINDS = {
    "wait": "waiting, for the control or for a free place",
    "boot": "booting, or another step before the stress",
    "stress": "the stress program runs",
}


def find_kind(span: Span) -> str:
    """A key of KINDS."""
    if span.state.startswith("waiting"):
        return "wait"
    return "stress" if span.state == "stressing" else "boot"


def say_span(span: Span) -> str:
    """Such as "dom0-a, boot 2: booting, 1.0 to 4.5 s"."""
    boot = f", boot {span.boot}" if span.boot else ""
    return f"{span.name}{boot}: {span.state}, {span.begin:.1f} to {span.end:.1f} s"


def read_spans(stored: dict[str, Any]) -> list[Span]:
    """Out of schedule.json; what is not understood is left out."""
    found = []
    for span in stored.get("spans", []):
        try:
            found.append(
                Span(
                    str(span["name"]), int(span["boot"]), str(span["state"]),
                    float(span["begin"]), float(span["end"]),
                )
            )  # fmt: skip
        except (KeyError, TypeError, ValueError):
            continue
    return found


def draw_schedule(spans: Sequence[Span]) -> str:
    """A row for each boot; a wait is in the row of the boot that it was for."""
    # What runs first is first; a cell that waits for its control has begun to wait before that.
    order = sorted(spans, key=lambda span: (find_kind(span) == "wait", span.begin))
    names = dict.fromkeys(span.name for span in order)
    rows: dict[tuple[str, int], int] = {}
    for name in names:
        boots = sorted({span.boot for span in spans if span.name == name and span.boot}) or [0]
        for boot in boots:
            rows[name, boot] = len(rows)
    first = {name: min(boot for other, boot in rows if other == name) for name in names}
    bars = [
        Bar(rows[s.name, s.boot or _find_next(s, spans) or first[s.name]], s.begin, s.end,
            find_kind(s), say_span(s))
        for s in spans
    ]  # fmt: skip
    titles = [name if boot in (0, first[name]) else f"boot {boot}" for name, boot in rows]
    return draw_bars("The run's schedule", titles, bars, "seconds since the run began")


def _find_next(wait: Span, spans: Sequence[Span]) -> int:
    """The boot of the same cell that begins first after a state that is of no boot; 0 if none."""
    after = [s for s in spans if s.name == wait.name and s.boot and s.begin >= wait.end - 0.05]
    soon = min((span.begin for span in after), default=0.0) + 1  # some begin together
    return min((span.boot for span in after if span.begin <= soon), default=0)
