# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as a change: by hand, and by simulation (the long one is tests/nights.py)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from lab.history.change import (
    RateChanged,
    SecondsDrifted,
    VerdictRateChanged,
    find_changes,
)
from lab.history.changepoint import Counts, locate
from lab.history.result import Result
from lab.verdict.severity import Verdict
from tests.nights import CHANGED, PROMISED, UNCHANGED, Story, simulate

KINDS = {"c": Verdict.CLEAN, "x": Verdict.CORRUPTS, "v": Verdict.VACUOUS, "e": Verdict.LAB_ERROR,
         "d": Verdict.CRASHED, "i": None}  # fmt: skip


def nights(story: str, **inputs: str) -> list[Result]:
    """A letter for each night; ``inputs``: the letters for one input's values."""
    results = []
    for number, letter in enumerate(story):
        hits = 40 if letter == "x" else 0
        now = {name: values[number] for name, values in inputs.items()}
        results.append(Result(
            run=f"r{number}", folder="", began="", cell="dom0-mine", host="nested",
            verdict=KINDS[letter], reason="", as_expected=True, night=f"n{number}",
            windows=400, hits=hits, boots=((200, hits // 2), (200, hits // 2)), seconds=20.0,
            inputs=now,
        ))  # fmt: skip
    return results


def find(story: str, **inputs: str) -> list[tuple[str, str, str]]:
    return [(type(c).__name__, c.since, c.run) for c in find_changes(nights(story, **inputs))]


def test_a_first_corruption_and_its_end() -> None:
    assert find("cccxxc") == [("FirstCorruption", "r3", "r3"), ("CorruptionGone", "r5", "r5")]
    first, gone = find_changes(nights("cccxxc"))
    assert first.sentence == "corrupts, and was clean before: 40 of 400 windows hit"
    assert gone.sentence == "is clean, and corrupted before: no corruption in 400 windows"
    assert (first.night, first.cell) == ("n3", "dom0-mine")


def test_what_proves_nothing_is_between_them() -> None:
    assert find("cveix") == [("FirstCorruption", "r4", "r4")]
    assert find("xvedix") == []


def test_a_cell_that_always_did_what_it_does() -> None:
    assert find("x" * 40) == find("c" * 40) == find("x") == find("") == []


def test_inputs_that_changed_stand_beside() -> None:
    """Since the last result that says anything, not since the last night."""
    (change,) = find_changes(nights("ccvx", kernel="aabb", qemu="ssss", xen="....", rules="1112"))
    assert change.inputs == {"kernel": ("a", "b"), "rules": ("1", "2")}
    assert change.beside == "kernel: a -> b; rules: 1 -> 2"


def with_rates(*hits: int, kernel: str = "") -> list[Result]:
    """Eight boots of 140 windows in each night, of which so many were hit."""
    return [
        replace(
            result, verdict=Verdict.CORRUPTS,
            boots=tuple((140, number + (-9, 9, 6, -6, 3, -3, 0, 0)[n]) for n in range(8)),
        )
        for result, number in zip(
            nights("x" * len(hits), **({"kernel": kernel} if kernel else {})), hits, strict=True
        )
    ]  # fmt: skip


def test_a_rate_that_changed() -> None:
    (change,) = find_changes(with_rates(*[42] * 12, *[21] * 4))
    assert isinstance(change, RateChanged)
    assert change.since == "r12"
    assert int(change.run[1:]) < 15
    assert (round(change.before, 2), round(change.after, 2)) == (0.30, 0.15)
    assert change.sentence.startswith("0.150 of its windows are hit, 0.300 before (probability ")


def test_a_changed_input_begins_a_new_series() -> None:
    assert find_changes(with_rates(*[42] * 12, *[21] * 12, kernel="a" * 12 + "b" * 12)) == []
    two = find_changes(with_rates(*[42] * 12, *[21] * 12, *[42] * 12, kernel="a" * 12 + "b" * 24))
    assert [change.since for change in two] == ["r24"]


def test_each_job_has_a_series_of_its_own() -> None:
    """A look at the control each night, with few hits, and then the control of a job."""
    looks = [replace(result, job="health") for result in with_rates(*[14] * 12)]
    job = [replace(r, job="all", run=f"{r.run}b") for r in with_rates(*[42] * 8, *[21] * 4)]
    mixed = [result for both in zip(looks, job, strict=True) for result in both]
    assert [change.since for change in find_changes(mixed)] == ["r8b"]


def test_swarms_in_boots_that_differ_are_not_a_change() -> None:
    """The same numbers: once in boots that are alike, once in boots that are all or nothing."""
    alike, swarms = [], []
    for result, good in zip(nights("x" * 16), [4] * 12 + [2] * 4, strict=True):
        alike.append(replace(result, boots=tuple((140, 14 * good) for _ in range(8))))
        swarm = tuple((140, 112 if n < good else 0) for n in range(8))
        swarms.append(replace(result, boots=swarm))
    assert [type(change) for change in find_changes(alike)] == [RateChanged]
    assert find_changes(swarms) == []


def test_one_boot_says_nothing_about_how_boots_differ() -> None:
    single = [replace(r, boots=r.boots[:1]) for r in with_rates(*[42] * 12, *[10] * 12)]
    assert find_changes(single) == []


def slow(*seconds: float) -> list[Result]:
    return [
        replace(result, seconds=2 * value)  # two boots
        for result, value in zip(nights("c" * len(seconds)), seconds, strict=True)
    ]


def test_seconds_that_drifted() -> None:
    (change,) = find_changes(slow(*[20, 22, 21, 19] * 4, *[34, 36, 35] * 3))
    assert isinstance(change, SecondsDrifted)
    assert change.since == "r16"
    assert change.sentence.startswith("a boot takes 35 s, 20 s before (probability ")
    assert find_changes(slow(*[20, 22, 21, 19] * 4, 90, *[20, 22, 21, 19] * 4)) == []  # one night
    assert find_changes(slow(*[20, 20.1] * 8, *[23, 23.1] * 8)) == []  # not worth a word


def test_failures_that_became_frequent() -> None:
    """Whatever the kernel is: it may be another one each night."""
    kernels = "abcdefghijklmnopqrstuvwxyz"
    found = find_changes(nights("c" * 20 + "d" * 6, kernel=kernels))
    assert [(type(change), change.since) for change in found] == [(VerdictRateChanged, "r20")]
    assert found[0].sentence.startswith("CRASHED in 100% of its runs, 0% before (probability ")
    assert found[0].inputs == {"kernel": ("t", "u")}
    assert find("ccccecccccccccccccccccec") == []


def test_the_posterior_is_the_published_one() -> None:
    """By numerical integration over the rates, which the closed form does not need."""
    from scipy import integrate

    series = [(20, 2), (20, 3), (20, 9), (20, 8)]
    counts = Counts()
    for windows, hits in series:
        counts.add([(windows, hits)])

    def likelihood(nights: list[tuple[int, int]]) -> float:
        def at(rate: float) -> float:
            value: float = 1 / (math.pi * math.sqrt(rate * (1 - rate)))
            for windows, hits in nights:
                value *= rate**hits * (1 - rate) ** (windows - hits)
            return value

        return float(integrate.quad(at, 0, 1)[0])

    unchanged = 0.99**4 * likelihood(series)
    changed = [0.01 * likelihood(series[:at]) * likelihood(series[at:]) for at in (1, 2, 3)]
    posterior, at = locate(counts.evidence(0, 4), 0, 4)
    assert posterior == pytest.approx(sum(changed) / (unchanged + sum(changed)), rel=1e-6)
    assert at == 2


def test_the_design_effect_of_boots_that_differ_in_length() -> None:
    counts = Counts()
    counts.add([(100, 30), (200, 60), (50, 15)])
    assert counts.effect(0, 1) == 1.0  # at least
    counts.add([(100, 100), (100, 0)])
    # (50**2 + 50**2) * 2 / (200 / 4), with a night of 350 * 0.3 * 0.7 that adds no variance
    assert counts.effect(0, 2) == pytest.approx(10000 / (50 + 73.5))


@pytest.mark.parametrize("story", UNCHANGED, ids=lambda story: story.name)
def test_unchanged_nights_are_calm(story: Story) -> None:
    series = 8
    assert simulate(story, series).false <= 1 + PROMISED * series


@pytest.mark.parametrize("story", CHANGED, ids=lambda story: story.name)
def test_planted_changes_are_seen(story: Story) -> None:
    series = 8
    assert simulate(story, series).seen >= story.share * series - 2
