# SPDX-License-Identifier: GPL-2.0-or-later
"""The short form of the campaign; `python -m tests.campaign --hours N` is the long one."""

from __future__ import annotations

import json
import resource
import time
from collections import Counter
from pathlib import Path

import pytest

from lab.console.records import parse
from lab.console.watch import Ending
from lab.verdict.severity import Verdict
from lab.verdict.trial import judge
from tests.campaign import consoles, runs
from tests.campaign.__main__ import attack_consoles
from tests.campaign.trial import Journal, Trial, compare, write_table
from tests.helpers.consoles import record

_SEED = 20
_ROUNDS = 40  # for each fault


def test_no_damaged_console_is_judged_wrong() -> None:
    trials = [attack_consoles(n, _SEED) for n in range(_ROUNDS * len(consoles.FAULTS))]
    assert [trial for trial in trials if trial.outcome == "false"] == []
    # They are damaged, and not beyond all use.
    said = Counter(trial.outcome for trial in trials)
    assert said["right"] > len(trials) / 2
    assert said["again"] > len(trials) / 20


def test_a_trial_is_made_of_seed_and_number_alone() -> None:
    for fault in consoles.FAULTS:
        assert consoles.make(fault, 3, 5) == consoles.make(fault, 3, 5)
        assert consoles.make(fault, 3, 5).console != consoles.make(fault, 4, 5).console


def test_every_undamaged_console_is_what_it_is() -> None:
    for one in consoles.find_all():
        assert one.judge(one.console) is one.truth
        assert {r.fields["run"] for r in parse(one.console).records} == {one.facts.nonce}


@pytest.mark.parametrize("fault", runs.FAULTS)
def test_a_run_that_is_cut_off_is_resumed(fault: str) -> None:
    """In its middle, and nearly at its end."""
    steps = runs.count_steps(fault)
    assert steps > 50
    for at in (steps // 3, steps - 2):
        assert runs.attack(fault, at)[0] == "right", at


@pytest.mark.parametrize(
    "flood",
    [
        b"@mmx ",
        b"\n",
        b"\0",
        b"@mmx 1 x" + b" a=b" * 60 + b" ",
        b"\x1b[",
        b"\xff\xfe",
        record(7, "progress", windows=3, t="9.0"),
    ],
    ids=["marks", "newlines", "NULs", "long records", "escapes", "no UTF-8", "one record"],
)
def test_a_flood_costs_little(flood: bytes) -> None:
    """Eight MiB in the middle of a clean console; what it costs is in proportion."""
    one = consoles.find_all()[0]
    half = one.console.rfind(b"@mmx 8 ")
    text = one.console[:half] + flood * ((8 << 20) // len(flood)) + one.console[half:]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    found = judge(one.facts, text, Ending("finished"))
    assert found.verdict in (Verdict.CLEAN, Verdict.LAB_ERROR)
    assert time.process_time() - began < 120
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10  # KiB
    assert len(found.reason) < 1000


def test_records_are_bounded() -> None:
    many = b"".join(record(n, "x", a=n) for n in range(100_050))
    assert len(parse(many).records) == 100_000
    assert parse(record(1, "x", a="y" * 900)).records == []
    assert parse(record(1, "end", windows="9" * 5000)).records == []
    assert parse(record(1, "end", windows="9" * 400)).records[0].number("windows") == 0


def test_the_journal_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = Trial("runs", "x", 0, "right")
    Journal(path).add(first)
    with path.open("a") as out:
        out.write('{"part": "ru')  # killed while it wrote
    journal = Journal(path)
    assert journal.trials == [first]
    journal.add(Trial("runs", "x", 1, "false"))
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [0, 1]
    assert Journal(path).count("runs") == 2
    assert "| runs | x | 2 | 1 | 0 | 0 | 1 |" in write_table(journal.trials)


def test_only_a_wrong_clean_or_corrupts_is_false() -> None:
    assert compare(Verdict.CRASHED, Verdict.CLEAN) == "false"
    assert compare(Verdict.CLEAN, Verdict.CORRUPTS) == "false"
    assert compare(Verdict.CLEAN, Verdict.LAB_ERROR) == "again"
    assert compare(Verdict.VACUOUS, Verdict.CRASHED) == "other"
    assert compare(Verdict.CORRUPTS, Verdict.CORRUPTS) == "right"
