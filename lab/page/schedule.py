# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's schedule: what ran beside what, and what waited for what. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.page.plot import Bar, draw_bars

KINDS = {
    "wait": "waiting, for the control or for a free place",
    "boot": "booting, or another step before the stress",
    "stress": "the stress program runs",
}


@dataclass(frozen=True)
class Span:
    """A state of something that ran: seconds since the run's start. ``boot`` 0: of the whole."""

    name: str
    boot: int
    state: str
    begin: float
    end: float

    @property
    def kind(self) -> str:
        """A key of KINDS."""
        if self.state.startswith("waiting"):
            return "wait"
        return "stress" if self.state == "stressing" else "boot"

    @property
    def says(self) -> str:
        boot = f", boot {self.boot}" if self.boot else ""
        return f"{self.name}{boot}: {self.state}, {self.begin:.1f} to {self.end:.1f} s"


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
    """A row for each boot, in the order of their beginning; waits are in their cell's first."""
    names = dict.fromkeys(span.name for span in sorted(spans, key=lambda span: span.begin))
    rows: dict[tuple[str, int], int] = {}
    for name in names:
        boots = sorted({span.boot for span in spans if span.name == name and span.boot}) or [0]
        for boot in boots:
            rows[name, boot] = len(rows)
    first = {name: min(boot for other, boot in rows if other == name) for name in names}
    bars = [
        Bar(rows[s.name, s.boot or first[s.name]], s.begin, s.end, s.kind, s.says) for s in spans
    ]
    titles = [name if boot in (0, first[name]) else f"boot {boot}" for name, boot in rows]
    return draw_bars("The run's schedule", titles, bars, "seconds since the run began")
