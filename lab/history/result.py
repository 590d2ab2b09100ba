# SPDX-License-Identifier: GPL-2.0-or-later
"""What the history holds: runs, and what each of their cells showed."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.verdict.severity import Verdict


@dataclass(frozen=True)
class Run:
    """One command's cells. ``began``: UTC, ISO 8601. ``folder``: relative to the results folder.

    ``ended``: its evidence is sealed, so it was not interrupted and is not under way.
    ``removed``: only its verdicts are left (lab/history/stone.py).
    """

    id: str
    folder: str
    began: str
    night: str | None = None
    job: str | None = None
    command: str = ""
    seconds: float = 0.0
    ended: bool = False
    removed: bool = False


@dataclass(frozen=True)
class Result:
    """One cell of one run.

    ``verdict`` None: the cell is impossible on that machine, ``reason`` says why. ``expected``: as
    lab.yaml said it (corrupts, clean, vacuous, any), None where it said nothing. ``boots``: windows
    and hits of each boot that the lab did not spoil. ``seconds``: wall time of all boots.
    ``control``: the cell that a clean one was measured by. ``inputs``: what it was run with, by
    name, in words that differ when it differs. ``known``: the label that lab.yaml has for this
    failure.
    """

    run: str
    folder: str
    began: str
    cell: str
    host: str
    verdict: Verdict | None
    reason: str
    as_expected: bool
    night: str | None = None
    job: str | None = None
    expected: str | None = None
    windows: int = 0
    hits: int = 0
    corruptions: int = 0
    boots: tuple[tuple[int, int], ...] = ()
    seconds: float = 0.0
    control: str | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    known: str | None = None
