# SPDX-License-Identifier: GPL-2.0-or-later
"""A trial's verdict from its raw console and two small files beside it: pure.

Only the trial's folder is needed, so `lab verify` can derive every verdict again.
"""

from __future__ import annotations

import re
from typing import Any

from lab.console import records
from lab.console import text as consoletext
from lab.console.records import Record, Transcript
from lab.console.watch import Ending
from lab.verdict.facts import TrialFacts, TrialVerdict
from lab.verdict.lost import find_lost
from lab.verdict.origin import cut_own, find_foreign, find_mixture
from lab.verdict.severity import Verdict
from lab.verdict.vacuity import ALLOCATION_GONE, LAZY_GONE, find_vacuity, read_version

# The kernel's own warning that the FPU was used in kernel mode with TS set: a control kernel
# that prints this is broken, and what it shows is not the bug.
_NM_WARNING = re.compile(rb"WARNING: .*exc_device_not_available")
# XRSTOR faulted on a task's state: registers were lost, but not by the window in #NM.
_BAD_STATE = re.compile(rb"Bad FPU state detected")


def judge(facts: TrialFacts, console: bytes, ending: Ending | None) -> TrialVerdict:
    """The most severe thing that the console shows. ``ending`` None: the lab was killed."""
    foreign = find_foreign(facts, console)
    before, own = cut_own(facts.nonce, console)
    transcript = records.parse(own)
    figures = _figures(transcript)
    notes = _notes(facts, transcript, console)

    def say(verdict: Verdict, reason: str) -> TrialVerdict:
        return TrialVerdict(verdict, reason, notes=notes, **figures)

    start = next(iter(transcript.of("start")), None)
    mixture = find_mixture(facts.nonce, transcript)
    # A boot's records carry its nonce: what one of this boot saw stays seen beside another's.
    if mixture and not _saw_corruption(transcript, facts.nonce):
        return say(Verdict.LAB_ERROR, mixture)
    if facts.control and _NM_WARNING.search(console):
        return say(Verdict.LAB_ERROR, "the control kernel warned in #NM: its FPU code is broken")
    if start is not None and start.fields.get("inject", "0") != "0":
        return say(Verdict.LAB_ERROR, "the program ran with inject=1: its corruptions are its own")
    if foreign and figures["corruptions"]:
        return say(Verdict.LAB_ERROR, f"{foreign}, and the corruptions in it are not this boot's")
    if figures["corruptions"]:
        return say(Verdict.CORRUPTS, _corruption(figures))
    dead = _death(foreign, transcript, (before, own), ending)
    if dead:
        return say(*dead)
    fault = _detector_fault(transcript)
    if fault:
        return say(Verdict.LAB_ERROR, fault)
    empty = find_vacuity(facts, transcript, figures["windows"], figures["checks"])
    if empty:
        return say(Verdict.VACUOUS, empty)
    notes += _read_source(facts)
    return say(Verdict.CLEAN, f"0 corruptions in {figures['windows']} windows")


def _figures(transcript: Transcript) -> dict[str, Any]:
    """The highest counts in any record: the end record may be lost."""
    counted = transcript.of("progress") + transcript.of("end")
    corrupt = transcript.of("corrupt")
    env, end = transcript.last("env"), transcript.last("end")
    times = [t for record in counted if (t := record.seconds()) is not None]
    return {
        "windows": max((r.number("windows") for r in counted), default=0),
        "checks": max((r.number("checks") for r in counted), default=0),
        "corruptions": max([len(corrupt), *(r.number("corruptions") for r in counted)]),
        # At least one with any corruption, where the last count was lost.
        "hits": max([min(len(corrupt), 1), *(r.number("hits") for r in counted)]),
        "tried": _count(counted, "tried"),
        "struck": _count(counted, "struck"),
        "first_corruption": corrupt[0].seconds() if corrupt else None,
        "stressed": max(times, default=None),
        "env": env.fields if env else {},
        "end": end.fields if end else {},
        "example": corrupt[0].fields if corrupt else {},
    }


def _saw_corruption(transcript: Transcript, nonce: str) -> bool:
    """Whether a record that carries this boot's nonce says so."""
    ours = [r for r in transcript.records if r.fields.get("run") == nonce]
    return any(r.type == "corrupt" or r.number("corruptions") for r in ours)


def _count(counted: list[Record], key: str) -> int | None:
    """The highest of a count that older programs do not have."""
    return max((r.number(key) for r in counted if key in r.fields), default=None)


def _corruption(figures: dict[str, Any]) -> str:
    text = f"{figures['corruptions']} failed checks in {figures['windows']} windows"
    example = figures["example"]
    if example:
        text += (
            f"; first: {example.get('role', '?')} {example.get('reg', '?')} "
            f"held the value of {example.get('owner', 'unknown')}"
        )
    return text


def _notes(facts: TrialFacts, transcript: Transcript, console: bytes) -> list[str]:
    notes = []
    if transcript.missing or transcript.damaged:
        notes.append(
            f"{len(transcript.missing)} records lost, {transcript.damaged} damaged on the console"
        )
    env = transcript.last("env")
    if env and env.fields.get("fpu") == "eager" and read_version(env) >= LAZY_GONE:
        notes.append("this kernel has no lazy FPU mode: a first use does not trap")
    if env and ALLOCATION_GONE <= read_version(env) < LAZY_GONE and not facts.control:
        notes.append("this kernel's #NM does not allocate: it has no window by construction")
    counted = transcript.last("allocations")
    if counted and not _agrees(counted):
        notes.append(
            f"the kernel counted {counted.number('counted')} allocations in #NM, "
            f"the program {counted.number('windows')} windows"
        )
    if _BAD_STATE.search(console):
        notes.append("the kernel met a bad FPU state (XRSTOR faulted): not the #NM window")
    if not facts.control and _NM_WARNING.search(console):
        notes.append("the kernel warned in #NM (see the console)")
    return notes


def _read_source(facts: TrialFacts) -> list[str]:
    """Beside a clean verdict: what the kernel's source says. It decides nothing."""
    return [f"the source, not a verdict: {facts.reading}"] if facts.reading else []


def _agrees(counted: Record) -> bool:
    """The kernel counts every window, and the first use of each other process of the program."""
    extra = counted.number("counted") - counted.number("windows")
    return 0 <= extra <= counted.number("others")


def _death(
    foreign: str | None, transcript: Transcript, parts: tuple[bytes, bytes], ending: Ending | None
) -> tuple[Verdict, str] | None:
    if ending is None:
        return Verdict.LAB_ERROR, "the lab was killed during this trial"
    if ending.how in ("lab_error", "interrupted"):
        return Verdict.LAB_ERROR, ending.detail or "interrupted"
    if foreign:
        return Verdict.LAB_ERROR, f"{foreign} ({_how(ending)})"
    before, own = parts
    early = consoletext.death(before)
    if early and records.MARK in before:
        return Verdict.LAB_ERROR, f"it is not clear which boot died on this console: {early}"
    died = early or consoletext.death(_before_end(transcript, own))
    if died:
        return Verdict.CRASHED, died
    lost = find_lost(transcript, own)
    if lost:
        return Verdict.LAB_ERROR, f"{lost} on the console: nothing can be said ({_how(ending)})"
    if transcript.begun > 1:
        return Verdict.LAB_ERROR, "the start record is there twice: two boots, or a doubling line"
    if not transcript.records:
        return Verdict.CRASHED, f"silent: the program never started ({_how(ending)})"
    if transcript.last("end") is None:
        last = transcript.records[-1]
        return Verdict.CRASHED, f"fell silent after record {last.seq} ({_how(ending)})"
    return None


def _before_end(transcript: Transcript, console: bytes) -> bytes:
    """What happens after the end record, while the guest is powered off, is not the trial.

    A damaged one ends it too, but words like it before a sound one do not.
    """
    ends = [record.at for record in transcript.of("end")]
    return console[: min(ends) if ends else console.find(b" end t=")]


def _how(ending: Ending) -> str:
    words = {
        "deadline": "stopped at the deadline",
        "exited": "the machine stopped on its own",
        "flooded": "stopped for its flood of words",
    }
    text = words.get(ending.how, ending.how)
    return f"{text} after {ending.seconds:.0f} s" + (f", {ending.detail}" if ending.detail else "")


def _detector_fault(transcript: Transcript) -> str | None:
    """A detector that finds nothing counts only after it caught all injected corruptions."""
    end = transcript.last("end")
    if end is not None and end.fields.get("status") == "error":
        return f"the stress program gave up: {end.fields.get('reason', 'no reason given')}"
    tests = {record.fields.get("role"): record for record in transcript.of("selftest")}
    for role in ("victim", "opener"):
        test = tests.get(role)
        if test is None:
            return f"no self-test of the {role}'s detector was seen"
        if not test.number("checks") or test.number("checks") != test.number("caught"):
            return (
                f"the {role}'s detector caught {test.number('caught')} of "
                f"{test.number('checks')} injected corruptions"
            )
    return None
