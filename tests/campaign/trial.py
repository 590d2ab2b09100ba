# SPDX-License-Identifier: GPL-2.0-or-later
"""One trial of a campaign, the journal of all, and the table at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lab.verdict.severity import Verdict

# "again": the lab asks for a repetition; "other": wrong, and not dangerous; "false": a wrong CLEAN
# or CORRUPTS, evidence that cannot be read, something left behind.
Outcome = Literal["right", "again", "other", "false"]


@dataclass(frozen=True)
class Trial:
    """``number`` counts within its part; with the seed it names the trial."""

    part: str
    fault: str
    number: int
    outcome: Outcome
    truth: str = ""
    said: str = ""


def compare(truth: Verdict, said: Verdict) -> Outcome:
    """How a verdict stands to what the boot showed."""
    if said is truth:
        return "right"
    if said in (Verdict.CLEAN, Verdict.CORRUPTS):
        return "false"
    return "again" if said is Verdict.LAB_ERROR else "other"


class Journal:
    """A line for each trial that has ended; a campaign that was cut off goes on after them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials: list[Trial] = []
        if path.is_file():
            lines = path.read_text().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]  # the last may have been cut
            self.trials = [Trial(**json.loads(line)) for line in whole]
            path.write_text("".join(whole))

    def has(self, part: str, number: int) -> bool:
        return (part, number) in {(trial.part, trial.number) for trial in self.trials}

    def count(self, part: str) -> int:
        """Trials of a part; they are done in their order."""
        return sum(trial.part == part for trial in self.trials)

    def add(self, trial: Trial) -> None:
        self.trials.append(trial)
        with self.path.open("a") as out:
            out.write(json.dumps(asdict(trial)) + "\n")


HEADING = """\
| part | fault | trials | right | repeated | other | false |
|---|---|---:|---:|---:|---:|---:|"""


def write_table(trials: Iterable[Trial]) -> str:
    """A row for each fault, and one for all."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for trial in trials:
        rows.setdefault((trial.part, trial.fault), Counter())[trial.outcome] += 1
    total: Counter[str] = sum(rows.values(), Counter())
    lines = [_write_row(*names, counts) for names, counts in rows.items()]
    return "\n".join([HEADING, *lines, _write_row("**all**", "", total)])


def _write_row(part: str, fault: str, counts: Counter[str]) -> str:
    figures = [counts.total(), *(counts[kind] for kind in ("right", "again", "other", "false"))]
    return f"| {part} | {fault} | " + " | ".join(f"{n:,}" for n in figures) + " |"
