# SPDX-License-Identifier: GPL-2.0-or-later
"""What a probe's console shows: pure. A silence or a crash is never an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lab.config.kinds import GuestKind
from lab.console import text as consoletext
from lab.console.records import PROBE_MARK, Transcript, parse
from lab.console.watch import Ending
from lab.exitcodes import Exit
from lab.probe.questions import PV_KINDS, Abi, Question, list_questions


class Outcome(Enum):
    """What became of one guest, from the least severe."""

    CLEAR = Abi.CLEAR.value
    SET = Abi.SET.value
    VACUOUS = "VACUOUS"
    LAB_ERROR = "LAB_ERROR"
    CRASHED = "CRASHED"
    MIXED = "MIXED"

    @property
    def abi(self) -> Abi | None:
        return Abi(self.value) if self in (Outcome.CLEAR, Outcome.SET) else None


@dataclass(frozen=True)
class Answer:
    """``expected``: the words that fit; those of the interface that the handler's answer names."""

    question: str
    seen: str
    expected: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return self.seen in self.expected


@dataclass(frozen=True)
class Finding:
    """One guest's outcome. ``xen``: its version as the guest asked for it."""

    kind: GuestKind
    outcome: Outcome
    reason: str
    answers: tuple[Answer, ...] = ()
    xen: str = ""
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "xen": self.xen,
            "seconds": self.seconds,
            "answers": [
                {"question": a.question, "seen": a.seen, "expected": list(a.expected)}
                for a in self.answers
            ],
        }


def judge(kind: GuestKind, nonce: str, console: bytes, ending: Ending) -> Finding:
    """``nonce``: the word that this boot's command line carried."""
    transcript = parse(console, PROBE_MARK)
    start = next(iter(transcript.of("start")), None)
    xen = start.fields.get("xen", "") if start else ""
    answers = _read_answers(kind, transcript)
    failed = _find_failure(kind, nonce, transcript, console, ending)
    if failed is not None:
        outcome, reason = failed
    else:
        outcome, reason = _weigh(kind, answers)
    return Finding(kind, outcome, reason, tuple(answers), xen, ending.seconds)


def _read_answers(kind: GuestKind, transcript: Transcript) -> list[Answer]:
    """In the order of the questions; only those that came."""
    said = {
        record.fields.get("question", ""): record.fields.get("seen", "")
        for record in transcript.of("answer")
    }
    abi = Abi.CLEAR if said.get("handler") == "clear" and kind in PV_KINDS else Abi.SET
    return [
        Answer(one.name, said[one.name], one.list_fitting(abi))
        for one in list_questions(kind)
        if one.name in said
    ]


def _find_failure(
    kind: GuestKind, nonce: str, transcript: Transcript, console: bytes, ending: Ending
) -> tuple[Outcome, str] | None:
    """Why the console proves nothing, whatever it answers."""
    if ending.how in ("lab_error", "interrupted"):
        return Outcome.LAB_ERROR, ending.detail or ending.how
    fault = transcript.last("fault")
    if fault is not None:
        words = " ".join(f"{key}={value}" for key, value in fault.fields.items())
        return Outcome.CRASHED, f"the probe had a trap that it does not expect: {words}"
    start, end = next(iter(transcript.of("start")), None), transcript.last("end")
    if start is None or end is None:
        return Outcome.CRASHED, _say_silence(transcript, console, ending)
    if start.fields.get("run") != nonce:
        return Outcome.LAB_ERROR, "the console is not this boot's: it shows another nonce"
    if start.fields.get("kind") != kind:
        return Outcome.LAB_ERROR, f"the guest found itself to be {start.fields.get('kind')}"
    if end.number("answers") != len(transcript.of("answer")):
        lost = end.number("answers") - len(transcript.of("answer"))
        return Outcome.LAB_ERROR, f"{lost} answers are not on the console"
    return None


def _say_silence(transcript: Transcript, console: bytes, ending: Ending) -> str:
    last = transcript.last("answer")
    where = f"after the question {last.fields.get('question')!r}" if last else "before any answer"
    said = consoletext.death(console) or consoletext.tail(console, 1).strip()
    how = "the guest ended" if ending.how == "exited" else "silence"
    return f"{how} {where}" + (f": {said}" if said else "")


def _weigh(kind: GuestKind, answers: Sequence[Answer]) -> tuple[Outcome, str]:
    """All answers are there that the guest could give: which interface do they name?"""
    seen = {answer.question: answer for answer in answers}
    asked = list_questions(kind)
    wrong = [one.name for one in asked if one.control and not _answers(one, seen)]
    if wrong:
        return Outcome.VACUOUS, f"TS does not work here, so nothing was asked: {_say(seen, wrong)}"
    missing = [one.name for one in asked if one.name not in seen]
    if missing:
        return Outcome.VACUOUS, f"not asked: {', '.join(missing)}"
    misfits = [one.name for one in asked if not seen[one.name].fits]
    abi = Abi.CLEAR if seen["handler"].seen == "clear" else Abi.SET
    if misfits:
        return Outcome.MIXED, f"{abi.sentence}; but {_say(seen, misfits)}"
    return Outcome(abi.value), abi.sentence


def _answers(question: Question, seen: dict[str, Answer]) -> bool:
    found = seen.get(question.name)
    return found is not None and found.fits


def _say(seen: dict[str, Answer], names: Sequence[str]) -> str:
    """What was seen and what would fit, question by question."""
    words = []
    for name in names:
        answer = seen.get(name)
        if answer is None:
            words.append(f"{name} has no answer")
        else:
            words.append(f"{name} {answer.seen}, expected {' or '.join(answer.expected)}")
    return "; ".join(words)


_ORDER = (
    (Outcome.MIXED, Exit.CLAIM_FAILS),
    (Outcome.CRASHED, Exit.CRASHED),
    (Outcome.LAB_ERROR, Exit.LAB_ERROR),
    (Outcome.VACUOUS, Exit.VACUOUS),
)


def exit_code(findings: Sequence[Finding], expect: Abi | None = None) -> Exit:
    """0 when every guest has answered and the answers fit together.

    ``expect``: which interface dom0 and pv guests must have been shown.
    """
    if expect is not None and list_unexpected(findings, expect):
        return Exit.CLAIM_FAILS
    for outcome, code in _ORDER:
        if any(one.outcome is outcome for one in findings):
            return code
    return Exit.OK if findings else Exit.LAB_ERROR


def list_unexpected(findings: Sequence[Finding], expect: Abi) -> list[str]:
    """The PV kinds that were shown the other interface."""
    return [
        one.kind
        for one in findings
        if one.kind in PV_KINDS and one.outcome.abi not in (None, expect)
    ]
