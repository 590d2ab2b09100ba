# SPDX-License-Identifier: GPL-2.0-or-later
"""A trial's two records: what was known before its boot, and its verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from lab.verdict.severity import Verdict


@dataclass(frozen=True)
class TrialFacts:
    """What was known before the boot (trial.json); the verdict depends on all of it."""

    cell: str
    trial: int
    nonce: str
    guest: str
    kernel: str
    min_windows: int
    min_checks: int
    control: str | None = None  # bad or fixed, when it must be the control kernel in that state
    # Another fix that the kernel is known to have, in words; empty: the one under test.
    carries: str | None = None
    reading: str = ""  # what its source says about the window, where that was read; never a verdict
    board: str = ""  # the board that it is booted on, where it is one
    machine: str = ""  # the machine of a cluster that booted it, where one did


@dataclass(frozen=True)
class TrialVerdict:
    """The verdict, the reason, and the figures behind it."""

    verdict: Verdict
    reason: str
    windows: int = 0
    checks: int = 0
    corruptions: int = 0  # failed checks
    hits: int = 0  # windows in which a check failed
    first_corruption: float | None = None  # seconds since the program's start, guest time
    stressed: float | None = None  # seconds, guest time
    # Windows in which a victim woke, and those of them whose check failed; None: not counted.
    tried: int | None = None
    struck: int | None = None
    notes: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    end: dict[str, str] = field(default_factory=dict)  # the program's own closing record
    example: dict[str, str] = field(default_factory=dict)  # the first corruption's record

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict.value}
