# SPDX-License-Identifier: GPL-2.0-or-later
"""The probe's verdicts: each interface is known by its answers; silence is never one."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from lab.config.kinds import GUEST_KINDS, GuestKind
from lab.console.watch import Ending
from lab.exitcodes import Exit
from lab.probe.judge import Finding, Outcome, exit_code, judge
from lab.probe.questions import QUESTIONS, Abi
from lab.probe.text import make_junit, make_table, say_finding
from tests.helpers.probes import NONCE, console, list_answers, record
from tests.helpers.project import PROJECT

DONE = Ending("finished", seconds=2.5)
CLEAR, SET = Abi.CLEAR, Abi.SET


def find(kind: GuestKind, text: bytes, ending: Ending = DONE) -> Finding:
    return judge(kind, NONCE, text, ending)


def find_with(kind: GuestKind, abi: Abi, **changes: str | None) -> Finding:
    """With some answers other than that interface's; None: not given."""
    answers = {**list_answers(kind, abi), **changes}
    given = {name: seen for name, seen in answers.items() if seen is not None}
    return find(kind, console(kind, given))


@pytest.mark.parametrize("kind", ["dom0", "pv"])
@pytest.mark.parametrize("abi", [CLEAR, SET])
def test_a_pv_guest_shows_either_interface(kind: GuestKind, abi: Abi) -> None:
    found = find_with(kind, abi)
    assert found.outcome.abi is abi
    assert found.reason == abi.sentence
    assert found.xen == "4.17.7"
    assert exit_code([found]) == Exit.OK
    assert exit_code([found], abi) == Exit.OK
    other = CLEAR if abi is SET else SET
    assert exit_code([found], other) == Exit.CLAIM_FAILS


@pytest.mark.parametrize("kind", ["native", "hvm", "pvh"])
def test_elsewhere_only_a_processors_interface_is_right(kind: GuestKind) -> None:
    right = find_with(kind, SET)
    assert right.outcome is Outcome.SET
    assert exit_code([right], CLEAR) == Exit.OK  # that was asked of dom0 and pv alone
    wrong = find(kind, console(kind, list_answers(kind, CLEAR)))
    assert wrong.outcome is Outcome.MIXED
    assert exit_code([wrong]) == Exit.CLAIM_FAILS


@pytest.mark.parametrize("word", ["set", "clear"])
def test_a_lazy_and_an_eager_xen_are_both_as_they_should_be(word: str) -> None:
    assert find_with("dom0", CLEAR, hidden=word).outcome is Outcome.CLEAR


@pytest.mark.parametrize("name", ["user", "again", "return", "halt", "switch"])
def test_an_answer_that_does_not_fit_the_others_is_named(name: str) -> None:
    wrong = list_answers("pv", SET)[name]
    found = find_with("pv", CLEAR, **{name: wrong})
    assert found.outcome is Outcome.MIXED
    assert f"{name} {wrong}, expected" in found.reason
    assert exit_code([found]) == Exit.CLAIM_FAILS


@pytest.mark.parametrize(
    ("name", "seen"), [("set", "clear"), ("use", "passes"), ("off", "set"), ("free", "traps")]
)
def test_where_ts_does_not_work_nothing_was_asked(name: str, seen: str) -> None:
    found = find_with("dom0", CLEAR, **{name: seen})
    assert found.outcome is Outcome.VACUOUS
    assert name in found.reason
    assert exit_code([found]) == Exit.VACUOUS


@pytest.mark.parametrize("name", [one.name for one in QUESTIONS])
def test_an_answer_must_not_be_missing(name: str) -> None:
    found = find_with("pv", CLEAR, **{name: None})
    assert found.outcome is Outcome.VACUOUS
    assert name in found.reason


WHOLE = console("dom0", list_answers("dom0", CLEAR))


@pytest.mark.parametrize(
    ("text", "ending", "outcome", "why"),
    [
        (b"", Ending("deadline"), Outcome.CRASHED, "silence before any answer"),
        (WHOLE[: WHOLE.index(b"question=halt")], Ending("deadline"), Outcome.CRASHED, "'return'"),
        (WHOLE[: WHOLE.index(b"\n@probe 12")], Ending("exited"), Outcome.CRASHED, "guest ended"),
        (
            b"(XEN) Panic on CPU 0:\n(XEN) Could not construct domain 0\n",
            Ending("exited"), Outcome.CRASHED, "Could not construct domain 0",
        ),
        (
            WHOLE + record(13, "fault", vector=14, error="2"), DONE, Outcome.CRASHED, "vector=14",
        ),
        (WHOLE, Ending("lab_error", "QEMU failed: 1"), Outcome.LAB_ERROR, "QEMU failed"),
        (WHOLE, Ending("interrupted"), Outcome.LAB_ERROR, "interrupted"),
        (WHOLE.replace(b"seen=clear", b"seen=claer", 1), DONE, Outcome.LAB_ERROR, "1 answers"),
        (
            console("dom0", list_answers("dom0", CLEAR), run="beef"),
            DONE, Outcome.LAB_ERROR, "another nonce",
        ),
        (
            console("pv", list_answers("pv", CLEAR)),
            DONE, Outcome.LAB_ERROR, "found itself to be pv",
        ),
    ],
)  # fmt: skip
def test_silence_death_and_damage_are_never_an_answer(
    text: bytes, ending: Ending, outcome: Outcome, why: str
) -> None:
    found = find("dom0", text, ending)
    assert found.outcome is outcome
    assert why in found.reason
    assert found.outcome.abi is None
    assert exit_code([found, find_with("pv", CLEAR)]) not in (Exit.OK, Exit.CLAIM_FAILS)


def test_nothing_asked_is_not_success() -> None:
    assert exit_code([]) == Exit.LAB_ERROR


def test_the_program_and_the_lab_have_the_same_questions() -> None:
    source = (PROJECT / "repro" / "probe" / "main.c").read_text()
    asked = re.findall(r'answer(?:_\w+)?\("(\w+)"', source)
    assert sorted(asked) == sorted(one.name for one in QUESTIONS)
    header = source[: source.index("*/")]
    for one in QUESTIONS:
        (line,) = re.findall(rf"^ \*   {one.name}  .*$", header, re.MULTILINE)
        # The table's two columns, where it has both on that line.
        words = line.split()[-2:]
        if one.of_pv or one.name == "return":
            continue
        assert words == [one.clear[0], one.set[0]], line


def test_the_table_fits_and_marks_what_does_not() -> None:
    findings = [find_with(kind, CLEAR if kind in ("dom0", "pv") else SET) for kind in GUEST_KINDS]
    assert max(map(len, make_table(findings))) <= 100
    assert "!" not in "\n".join(make_table(findings))
    wrong = find_with("pv", CLEAR, halt="traps")
    (row,) = [line for line in make_table([wrong]) if "halt" in line]
    assert row.endswith("traps!")
    assert "Xen 4.17.7" in say_finding(wrong)
    assert "no answer" not in say_finding(wrong)


def test_junit_has_a_case_for_each_question() -> None:
    good, bad = find_with("dom0", CLEAR), find_with("pv", CLEAR, halt="traps")
    silent = replace(good, kind="native", outcome=Outcome.CRASHED, answers=())
    root = ET.fromstring(make_junit([good, bad, silent]))
    cases = root.findall(".//testcase")
    assert len(cases) == 2 * (len(QUESTIONS) + 1) + 1
    failed = [case.get("name") for case in cases if case.find("failure") is not None]
    assert failed == ["halt"]
    errors = [case.get("classname") for case in cases if case.find("error") is not None]
    assert errors == ["lab.probe.pv", "lab.probe.native"]
