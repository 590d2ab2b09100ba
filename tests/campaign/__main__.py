# SPDX-License-Identifier: GPL-2.0-or-later
"""The fault campaign: `python -m tests.campaign [--hours N | --minutes N] [--seed S]`.

Unattended, seeded, resumable: a journal holds a line for each trial that has ended, and the same
words go on where a campaign was cut off. First the consoles, then killed and starved runs, as
long as there is time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from tests.campaign import consoles, runs
from tests.campaign.trial import Journal, Trial, compare, write_table

_RUNS = 100_000


def attack_consoles(number: int, seed: int) -> Trial:
    """One damaged console, judged."""
    fault = consoles.FAULTS[number % len(consoles.FAULTS)]
    made = consoles.make(fault, seed, number)
    said = consoles.judge_trial(made)
    outcome = compare(made.truth, said.verdict)
    return Trial("consoles", fault, number, outcome, made.truth.value, said.verdict.value)


def _repeat(
    part: str, make: Callable[[int], Trial], journal: Journal, most: int, until: float
) -> None:
    for number in range(journal.count(part), most):
        if time.monotonic() > until:
            return
        trial = make(number)
        journal.add(trial)
        if trial.outcome == "false":
            print(f"FALSE: {trial}", flush=True)


def main() -> int:
    """0 where nothing was false, 1 else."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--hours", type=float)
    length.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=10_000, help="consoles that are judged")
    parser.add_argument("--journal", type=Path, help="default: .cache/campaign-SEED.jsonl")
    given = parser.parse_args()
    minutes = 60 * given.hours if given.hours else given.minutes or 2
    until = time.monotonic() + 60 * minutes
    path = given.journal or Path(".cache") / f"campaign-{given.seed}.jsonl"
    path.parent.mkdir(exist_ok=True)
    journal = Journal(path)
    seed = given.seed
    _repeat("consoles", lambda n: attack_consoles(n, seed), journal, given.trials, until)
    if time.monotonic() < until:
        steps = {fault: runs.count_steps(fault) for fault in runs.FAULTS}
        _repeat("runs", lambda n: runs.make_trial(n, seed, steps), journal, _RUNS, until)
    print(write_table(journal.trials))
    return int(any(trial.outcome == "false" for trial in journal.trials))


if __name__ == "__main__":
    raise SystemExit(main())
