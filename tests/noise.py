# SPDX-License-Identifier: GPL-2.0-or-later
"""Serial lines that drop, double and damage bytes: `python -m tests.noise --trials 10000`.

Recorded consoles, whose truth is known, are put through such a line and judged as a board's. It
prints a table for each rate: how many trials were judged wrong, and how many have to be repeated.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from dataclasses import dataclass, replace

import numpy

from lab.console.records import parse
from lab.console.watch import Ending
from lab.evidence.trial import TrialFolder
from lab.verdict.facts import TrialFacts
from lab.verdict.severity import Verdict
from lab.verdict.trial import judge
from tests.helpers.consoles import FOLDER, record

RATES = (1e-4, 1e-3, 1e-2)
SAYS = (Verdict.CLEAN, Verdict.CORRUPTS)
AGAIN = Verdict.LAB_ERROR  # what is repeated


@dataclass(frozen=True)
class Recorded:
    """A console as a board said it, and what it shows."""

    facts: TrialFacts
    console: bytes
    truth: Verdict

    def judge(self, console: bytes) -> Verdict:
        """As the lab would: a board is switched off when its last record was seen, or at the
        deadline.
        """
        finished = parse(console).last("end") is not None
        return judge(self.facts, console, Ending("finished" if finished else "deadline")).verdict


def read_recorded(name: str) -> Recorded:
    trial = TrialFolder(FOLDER / name)
    expected = json.loads((trial.path / "expected.json").read_text())
    facts = replace(trial.facts(), board="rack")
    return Recorded(facts, trial.read_console(), Verdict(expected["verdict"]))


def find_recorded() -> list[Recorded]:
    """Real ones, and three that are made of them: a death, a hang, a kernel without windows."""
    clean, dom0 = read_recorded("board-native-control-bad"), read_recorded("board-dom0-control-bad")
    begun, _, _ = dom0.console.partition(b"@mmx 5 corrupt")
    panic = b"[    4.2] Kernel panic - not syncing: Fatal exception in interrupt\r\n"
    counted = re.compile(rb"@mmx (\d+) allocations counted=(\d+) [^\n]*\n").search(clean.console)
    assert counted is not None
    none = record(int(counted[1]), "allocations", counted=0, windows=int(counted[2]), others=1)
    return [
        clean,
        dom0,
        read_recorded("pv-control-bad"),
        read_recorded("hvm-control-fixed"),
        replace(dom0, console=begun + panic, truth=Verdict.CRASHED),
        replace(dom0, console=begun, truth=Verdict.CRASHED),
        replace(
            clean,
            console=clean.console.replace(counted[0], none.lstrip(b"\n")),
            truth=Verdict.VACUOUS,
        ),
    ]


def disturb(console: bytes, rate: float, chance: numpy.random.Generator) -> bytes:
    """Each byte is dropped, doubled or damaged with ``rate``, one as often as the other."""
    places = numpy.flatnonzero(chance.random(len(console)) < rate)
    kinds = chance.integers(3, size=len(places))
    changes = chance.integers(1, 256, size=len(places))
    parts, last = [], 0
    for place, kind, change in zip(places.tolist(), kinds.tolist(), changes.tolist(), strict=True):
        byte = console[place]
        parts += [console[last:place], (b"", bytes([byte, byte]), bytes([byte ^ change]))[kind]]
        last = place + 1
    return b"".join([*parts, console[last:]])


def run(trials: int, rate: float, seed: int) -> Counter[tuple[Verdict, Verdict]]:
    """How often which truth was judged as what."""
    chance = numpy.random.default_rng([seed, round(1 / rate)])
    recorded = find_recorded()
    found: Counter[tuple[Verdict, Verdict]] = Counter()
    for number in range(trials):
        one = recorded[number % len(recorded)]
        found[one.truth, one.judge(disturb(one.console, rate, chance))] += 1
    return found


def count_false(found: Counter[tuple[Verdict, Verdict]]) -> dict[Verdict, int]:
    """Trials that were said to be CLEAN, or CORRUPTS, and are not."""
    return {
        said: sum(n for (truth, judged), n in found.items() if judged is said and truth is not said)
        for said in SAYS
    }


def write_row(rate: float, found: Counter[tuple[Verdict, Verdict]]) -> str:
    """A row of the table in docs/boards.md."""
    trials, false = found.total(), count_false(found)
    right = sum(n for (truth, judged), n in found.items() if judged is truth)
    again = sum(n for (_, judged), n in found.items() if judged is AGAIN)
    other = trials - again - right - sum(false.values())
    shares = [right / trials, again / trials, other / trials]
    for wanted in SAYS:
        of_it = sum(n for (truth, _), n in found.items() if truth is wanted)
        shares.append(found[wanted, AGAIN] / of_it)
    texts = " | ".join(f"{100 * share:.1f} %" for share in shares)
    return f"| {rate:g} | {trials:,} | {false[SAYS[0]]} | {false[SAYS[1]]} | {texts} |"


HEADING = """\
| rate | trials | false CLEAN | false CORRUPTS | right | repeated | other | of clean | of corrupt |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge recorded consoles through noisy lines.")
    parser.add_argument("--trials", type=int, default=10_000, help="for each rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="say what was judged as what")
    given = parser.parse_args()
    print(HEADING)
    for rate in RATES:
        found = run(given.trials, rate, given.seed)
        print(write_row(rate, found), flush=True)
        if given.verbose:
            for (truth, judged), n in found.items():
                print(f"    {truth.value} judged {judged.value}: {n}")


if __name__ == "__main__":
    main()
