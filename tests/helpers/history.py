# SPDX-License-Identifier: GPL-2.0-or-later
"""A made-up history: so many nights of so many cells, with what a page has to cope with."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from lab.history.result import Result, Run
from lab.verdict.severity import Verdict

HOSTILE = "Kernel panic: </td><script>document.title='taken'</script>\x1b[31m\u202e"
CONTROL = "dom0-control-bad"
_GUESTS = ("native", "dom0", "pv", "pvh", "hvm")
_REASONS = {
    Verdict.CLEAN: "0 corruptions in 731 windows of 3 boots; rate below 4e-03 per window at 95 %",
    Verdict.CORRUPTS: "41 failed checks; first: victim st0 held the value of opener/1/62/mm0",
    Verdict.CRASHED: HOSTILE, Verdict.LAB_ERROR: "the Xen host did not answer",
    Verdict.VACUOUS: "eager FPU on a kernel that could be lazy", None: "no SVM here",
}  # fmt: skip


def make_history(nights: int, cells: int, seed: int = 1) -> tuple[list[Run], list[Result]]:
    """Runs and results in the order of time; evidence of all but the last 60 nights is removed."""
    chance = random.Random(seed)  # noqa: S311
    names = [f"{_GUESTS[n % 5]}-k{n // 5}" for n in range(cells)]
    names[1:2] = [CONTROL] if cells > 1 else []
    runs, results = [], []
    for number in range(nights):
        at = datetime(2026, 8, 27, 2, tzinfo=UTC) + timedelta(days=number)
        night, began = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y-%m-%dT%H:%M:%SZ")
        name = f"{night}-ab12"
        runs.append(
            Run(name, name, began, night, "all", "lab nightly", 3000.0, True, number < nights - 60)
        )
        results += [
            _make_result(runs[-1], cell, place, number, nights, chance)
            for place, cell in enumerate(names)
        ]
    return runs, results


def _make_result(
    run: Run, cell: str, place: int, number: int, nights: int, chance: random.Random
) -> Result:
    bad = cell == CONTROL or (place == 6 and number >= nights - 3)
    verdict = _choose_verdict(place, number, bad, chance)
    rate = (0.3 if number < nights - 20 else 0.1) if bad else 0.0
    lengths = [chance.randint(150, 400) for _ in range(8 if bad else 3)]
    boots = [(n, sum(chance.random() < rate for _ in range(n)) if rate else 0) for n in lengths]
    if verdict not in (Verdict.CLEAN, Verdict.CORRUPTS):
        boots = []
    wanted = Verdict.CORRUPTS if cell == CONTROL else Verdict.CLEAN
    inputs = {
        "kernel": f"6.1.{150 + number // 30}", "xen": "4.17.7", "qemu": "7.2.22",
        "accelerator": "tcg", "rules": "c4c09b9fa238df67", "machine": "AMD EPYC, 2 cores",
    }  # fmt: skip
    return Result(
        run.id, run.folder, run.began, cell, "nested", verdict, _REASONS[verdict],
        verdict is wanted, run.night, run.job, "corrupts" if cell == CONTROL else None,
        sum(n for n, _ in boots), sum(h for _, h in boots), 2 * sum(h for _, h in boots),
        tuple(boots), 30 + 10 * chance.random(), None if cell == CONTROL else CONTROL, inputs,
        "xen bug 40" if place == 6 and bad else None,
    )  # fmt: skip


def _choose_verdict(place: int, number: int, bad: bool, chance: random.Random) -> Verdict | None:
    if chance.random() < 0.01:
        return Verdict.LAB_ERROR
    if place == 9 and number % 17 == 3:
        return Verdict.CRASHED
    if place in (12, 14):
        return Verdict.VACUOUS if place == 12 else None
    return Verdict.CORRUPTS if bad else Verdict.CLEAN
