# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verdict from a console, and above all: nothing but a sound run is CLEAN."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from lab.console.watch import Ending
from lab.evidence.trial import TrialFolder
from lab.verdict.facts import TrialFacts, TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.trial import judge
from tests.helpers.consoles import FOLDER, console, record

FACTS = TrialFacts(
    cell="pv-x", trial=1, nonce="cafe", guest="pv", kernel="x", min_windows=100, min_checks=100
)
DONE = Ending("finished", seconds=20.0)


def verdict(text: bytes, facts: TrialFacts = FACTS, ending: Ending | None = DONE) -> TrialVerdict:
    return judge(facts, text, ending)


def test_clean() -> None:
    for text in (console(), console(pressure=64, pressed=1)):
        found = verdict(text)
        assert found.verdict is Verdict.CLEAN
        assert found.windows == 5000


def test_a_reading_of_the_source_stands_beside_a_clean_verdict_only() -> None:
    facts = replace(FACTS, reading="as the source reads, it has the window: x (y.c:1)")
    assert verdict(console(), facts).verdict is Verdict.CLEAN
    assert "as the source reads" in verdict(console(), facts).notes[-1]
    assert not verdict(console(windows=0), facts).notes


def test_corrupts_names_whose_value_it_was() -> None:
    found = verdict(console(corruptions=3))
    assert found.verdict is Verdict.CORRUPTS
    assert "opener/7" in found.reason
    assert found.first_corruption == 0.4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (console(fpu="eager"), "eager"),
        (console(fpu="eager", release="4.4.60"), "comes too late for this version"),
        (console(fpu="unknown"), "unknown"),
        (console(xen="none"), "xen=none"),
        (console(xen="hvm"), "xen=hvm"),
        (console(windows=0), "no window"),
        (console(windows=99), "too little exposure"),
        (console(checks=0), "never ran"),
        (console(checks=99), "too little exposure"),
        (console(pressure=64), "memory never ran short"),
    ],
)
def test_what_could_not_have_shown_a_corruption_is_vacuous(text: bytes, why: str) -> None:
    found = verdict(text)
    assert found.verdict is Verdict.VACUOUS
    assert why in found.reason


@pytest.mark.parametrize(
    ("text", "ending", "wanted"),
    [
        (console(end=False), DONE, Verdict.CRASHED),
        (b"", Ending("deadline", seconds=300), Verdict.CRASHED),
        (b"Kernel panic - not syncing: no init\r\n", Ending("exited"), Verdict.CRASHED),
        (console(end=False), None, Verdict.LAB_ERROR),
        (console(), Ending("lab_error", "QEMU died"), Verdict.LAB_ERROR),
        (console(), Ending("interrupted"), Verdict.LAB_ERROR),
        (console(nonce="beef"), DONE, Verdict.LAB_ERROR),
        (console(caught=7), DONE, Verdict.LAB_ERROR),
        (console(inject=1, corruptions=3), DONE, Verdict.LAB_ERROR),
        (console(status="error"), DONE, Verdict.LAB_ERROR),
    ],
)
def test_crashes_silence_and_faults_are_never_a_pass(
    text: bytes, ending: Ending | None, wanted: Verdict
) -> None:
    assert verdict(text, ending=ending).verdict is wanted


def test_a_corruption_outweighs_a_crash_a_kill_and_an_interruption() -> None:
    text = console(corruptions=1, end=False) + b"Kernel panic - not syncing: Fatal\r\n"
    for ending in (None, Ending("deadline"), Ending("interrupted"), Ending("lab_error")):
        assert verdict(text, ending=ending).verdict is Verdict.CORRUPTS


def test_an_oops_before_the_end_is_a_crash_but_not_one_during_power_off() -> None:
    oops = b"[ 3.0] Oops: 0000 [#1] SMP\r\n"
    assert verdict(oops + console()).verdict is Verdict.CRASHED
    assert verdict(console() + oops).verdict is Verdict.CLEAN


ON_BOARD = replace(FACTS, guest="native", board="rack1")
SHOWN = b"Kernel command line: console=ttyS0 panic=1 mmx.run=cafe mmx.seed=1\r\n"
LATE = Ending("deadline", "it never asked the lab what to boot", seconds=50.0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"Linux version 6.1.0\r\nrack1 login: ", "came back with its own system"),
        (b"GNU GRUB  version 2.06\r\n", "came back with its own system"),
        (b"Kernel panic - not syncing: of its own\r\n", "it last said: Kernel panic"),
        (b"iPXE: No more network devices\x1b[31m\r\n", "it last said: iPXE: No more network"),
        (b"", "the board rack1 said nothing at all"),
        (b"Command line: mmx.run=beef\r\nlogin: ", "came back with its own system"),
    ],
)
def test_a_board_without_this_boots_nonce_is_the_labs_error(text: bytes, why: str) -> None:
    found = verdict(text, ON_BOARD, LATE)
    assert found.verdict is Verdict.LAB_ERROR
    assert why in found.reason
    assert found.reason.endswith(
        "(stopped at the deadline after 50 s, it never asked the lab what to boot)"
    )
    assert verdict(text, replace(ON_BOARD, board=""), LATE).verdict is Verdict.CRASHED


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (SHOWN, "silent: the program never started (stopped at the deadline"),
        (SHOWN + b"Kernel panic - not syncing: VFS\r\nlogin: ", "Kernel panic - not syncing: VFS"),
        (b"(XEN) Command line: lab=cafe\r\n(XEN) Panic on CPU 0:\r\n(XEN) no\r\n", "Panic on CPU"),
        (console(end=False), "fell silent after record"),
    ],
)
def test_what_this_boots_kernel_does_on_a_board_is_its_own(text: bytes, why: str) -> None:
    found = verdict(text, ON_BOARD, LATE)
    assert found.verdict is Verdict.CRASHED
    assert why in found.reason


def test_a_program_of_another_boot_is_the_labs_error_on_a_board_too() -> None:
    found = verdict(console(nonce="beef", xen="none"), ON_BOARD)
    assert found.verdict is Verdict.LAB_ERROR
    assert "belongs to another trial" in found.reason


@pytest.mark.parametrize(
    ("run", "expected"), [("cafe", Verdict.CORRUPTS), ("beef", Verdict.LAB_ERROR)]
)
def test_what_this_boot_saw_stays_seen_beside_another_boots_records(
    run: str, expected: Verdict
) -> None:
    other = record(40, "progress", t="1.0", windows=9, corruptions=0, run="beef")
    seen = record(41, "corrupt", t="1.1", reg="mm0", owner="opener/1/2/mm0", run=run)
    assert verdict(console(end=False) + other + seen).verdict is expected


def test_facts_of_before_there_were_boards_are_read() -> None:
    old = {key: value for key, value in asdict(FACTS).items() if key != "board"}
    assert TrialFacts(**old) == FACTS


def test_an_eager_only_kernel_is_clean_and_the_reason_is_said() -> None:
    found = verdict(console(fpu="eager", release="6.1.0-50-amd64"))
    assert found.verdict is Verdict.CLEAN
    assert any("no lazy FPU mode" in note for note in found.notes)


def test_a_control_must_be_in_its_state_and_must_not_warn() -> None:
    facts = replace(FACTS, control="bad")
    assert verdict(console(control="bad"), facts).verdict is Verdict.CLEAN
    assert verdict(console(control="fixed"), facts).verdict is Verdict.VACUOUS
    warned = b"WARNING: CPU: 0 PID: 7 at traps.c:1344 exc_device_not_available+0x1/0x2\r\n"
    found = verdict(console(control="bad", corruptions=900) + warned, facts)
    assert found.verdict is Verdict.LAB_ERROR


def test_a_kernel_with_another_fix_proves_nothing() -> None:
    facts = replace(FACTS, carries="the stts()/clts() of Oracle UEK 4")
    assert verdict(console(), facts).verdict is Verdict.VACUOUS
    assert "UEK 4" in verdict(console(), facts).reason
    assert verdict(console(corruptions=1), facts).verdict is Verdict.CORRUPTS
    unasked = verdict(console(control="fixed"))
    assert unasked.verdict is Verdict.VACUOUS
    assert "says that it is the fixed control kernel" in unasked.reason
    tried = replace(FACTS, carries="")  # the very fix that is tried
    assert verdict(console(control="fixed"), tried).verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    ("counted", "verdict_", "note"),
    [
        (5004, Verdict.CLEAN, False),
        (5000, Verdict.CLEAN, False),
        (4999, Verdict.CLEAN, True),
        (5006, Verdict.CLEAN, True),
        (0, Verdict.VACUOUS, True),
    ],
)
def test_the_kernels_own_count_is_held_beside(counted: int, verdict_: Verdict, note: bool) -> None:
    text = console() + record(9, "allocations", counted=counted, windows=5000, others=5)
    found = verdict(text)
    assert found.verdict is verdict_
    assert any("the kernel counted" in said for said in found.notes) is note


def test_an_eager_control_is_said_so() -> None:
    facts = replace(FACTS, control="bad")
    found = verdict(console(control="bad", fpu="eager", release="6.1.192"), facts)
    assert found.verdict is Verdict.VACUOUS
    assert found.reason.startswith("FPU eager")


def test_a_kernel_that_chose_eager_is_not_one_that_knows_nothing_else() -> None:
    """A commit of a control kernel's history is one whose state is not known beforehand."""
    found = verdict(console(fpu="eager", fpuhow="control", release="6.1.192"))
    assert found.verdict is Verdict.VACUOUS
    assert found.reason.startswith("FPU eager")


def test_lost_records_are_said() -> None:
    text = console().replace(b"@mmx 4 progress", b"@mmx 4 progr[ 1.0]ess")
    assert "1 records lost, 1 damaged on the console" in verdict(text).notes


@pytest.mark.parametrize("name", sorted(p.parent.name for p in FOLDER.glob("*/expected.json")))
def test_recorded_trials_give_the_verdict_they_gave(name: str) -> None:
    """Whole trials as they came off real boots; expected.json was read and agreed by a person."""
    trial = TrialFolder(FOLDER / name)
    expected = json.loads((trial.path / "expected.json").read_text())
    found = judge(trial.facts(), trial.read_console(), trial.ending()).as_json()
    assert {key: found[key] for key in expected} == expected
