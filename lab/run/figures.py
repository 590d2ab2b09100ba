# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab figures`: a run's speeds and rates, out of its folder. Medians over boots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from lab.evidence.run import RunFolder
from lab.evidence.trial import TrialFolder
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.trial import judge


@dataclass(frozen=True)
class Boot:
    """One trial's figures: wall seconds to the program's start and to the end, guest seconds."""

    start: float | None
    wall: float
    verdict: TrialVerdict

    @property
    def windows_per_second(self) -> float | None:
        seconds = self.verdict.stressed
        return self.verdict.windows / seconds if seconds else None

    @property
    def per_window(self) -> float | None:
        """Failed checks for each window; one window can spoil several checks."""
        windows = self.verdict.windows
        return self.verdict.corruptions / windows if windows else None


def boots(trials: list[TrialFolder]) -> list[Boot]:
    """The trials that ran to a verdict about the guest."""
    made = []
    for trial in trials:
        ending = trial.ending()
        verdict = judge(trial.facts(), trial.read_console(), ending)
        if ending is not None and verdict.verdict is not Verdict.LAB_ERROR:
            made.append(Boot(ending.boot_seconds, ending.seconds, verdict))
    return made


HEADINGS = ("cell", "boots", "to start s", "to end s", "windows/s", "failed checks/window",
            "first corruption s")  # fmt: skip


def rows(run: RunFolder) -> list[tuple[str, ...]]:
    """A row of text for each cell: medians, and the range of the rate in brackets."""
    return [_row(cell["id"], boots(run.trials(cell["id"]))) for cell in run.plan()]


def _row(cell: str, made: list[Boot]) -> tuple[str, ...]:
    rates = [rate for boot in made if (rate := boot.per_window) is not None]
    spread = f" ({min(rates):.3f} to {max(rates):.3f})" if len(rates) > 1 and max(rates) else ""
    return (
        cell,
        str(len(made)),
        _median(made, lambda boot: boot.start, "{:.1f}"),
        _median(made, lambda boot: boot.wall, "{:.1f}"),
        _median(made, lambda boot: boot.windows_per_second, "{:.0f}"),
        _median(made, lambda boot: boot.per_window, "{:.3f}") + spread,
        _median(made, lambda boot: boot.verdict.first_corruption, "{:.2f}"),
    )


def _median(made: list[Boot], figure: Callable[[Boot], float | None], form: str) -> str:
    known = [value for boot in made if (value := figure(boot)) is not None]
    return form.format(median(known)) if known else "-"


def show(path: Path) -> None:
    """Print the table, and how long the other parts of the run took."""
    from lab.report.terminal import Terminal

    run = RunFolder.open(path)
    terminal = Terminal()
    terminal.rows(HEADINGS, rows(run))
    for what, seconds in run.timings().items():
        terminal.say(f"{what}: {seconds:.1f} s")
