"""A trial's verdict from its raw console and two small files beside it: pure.

Nothing but the trial's folder is needed, so that `lab verify` reaches every verdict again.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.console import records
from lab.console import text as consoletext
from lab.console.records import Record, Transcript
from lab.verdict.severity import Verdict

# Which domain type the program must find itself in, for each guest kind.
_DOMAIN = {"native": "none", "dom0": "pv", "pv": "pv", "pvh": "pvh", "hvm": "hvm"}
# The kernel's own words for "somebody used the FPU with TS set in kernel mode": a control
# kernel that prints this is broken, and what it shows is not the bug.
_NM_WARNING = re.compile(rb"WARNING: .*exc_device_not_available")
# XRSTOR faulted on a task's state: registers were lost, but not by the window in #NM.
_BAD_STATE = re.compile(rb"Bad FPU state detected")
# Lazy FPU switching, and the option for it, left Linux in 4.9 (c592b5734706, ca6938a1cd8a).
_LAZY_GONE = (4, 9)
# The allocation in #NM left in 4.2 (7366ed771f6e).
_ALLOCATION_GONE = (4, 2)


@dataclass(frozen=True)
class TrialFacts:
    """What was known before the boot (trial.json); the verdict depends on all of it."""

    cell: str
    trial: int
    nonce: str
    guest: str
    kernel: str
    min_windows: int
    min_checks: int
    control: str | None = None  # bad or fixed, when it must be the control kernel in that state
    # Another fix that the kernel is known to have, in words; empty: the one that is tried.
    carries: str | None = None


@dataclass(frozen=True)
class Ending:
    """How the guest's run ended (ended.json). ``how`` is one of

    ``finished`` (its last record was seen), ``exited`` (the machine stopped by itself),
    ``deadline`` (it was stopped by us), ``interrupted`` (by a person), ``lab_error``.
    """

    how: str
    detail: str = ""
    seconds: float = 0.0
    boot_seconds: float | None = None  # wall time from power-on to the program's first record


@dataclass(frozen=True)
class TrialVerdict:
    """The verdict, why, and the figures it rests on."""

    verdict: Verdict
    reason: str
    windows: int = 0
    checks: int = 0
    corruptions: int = 0  # failed checks
    hits: int = 0  # windows in which a check failed
    first_corruption: float | None = None  # seconds since the program's start, guest time
    stressed: float | None = None  # seconds, guest time
    notes: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    end: dict[str, str] = field(default_factory=dict)  # the program's own closing record
    example: dict[str, str] = field(default_factory=dict)  # the first corruption's record

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict.value}


def judge(facts: TrialFacts, console: bytes, ending: Ending | None) -> TrialVerdict:
    """The most severe thing that the console shows. ``ending`` None: the lab was killed."""
    transcript = records.parse(console)
    figures = _figures(transcript)
    notes = _notes(facts, transcript, console)

    def say(verdict: Verdict, reason: str) -> TrialVerdict:
        return TrialVerdict(verdict, reason, notes=notes, **figures)

    start = next(iter(transcript.of("start")), None)
    if start is not None and start.fields.get("run") != facts.nonce:
        return say(Verdict.LAB_ERROR, "the console's start record belongs to another trial")
    if facts.control and _NM_WARNING.search(console):
        return say(Verdict.LAB_ERROR, "the control kernel warned in #NM: its FPU code is broken")
    if start is not None and start.fields.get("inject", "0") != "0":
        return say(Verdict.LAB_ERROR, "the program ran with inject=1: its corruptions are its own")
    if figures["corruptions"]:
        return say(Verdict.CORRUPTS, _corruption(figures))
    dead = _death(start, transcript, console, ending)
    if dead:
        return say(*dead)
    fault = _detector_fault(transcript)
    if fault:
        return say(Verdict.LAB_ERROR, fault)
    empty = _vacuity(facts, transcript, figures)
    if empty:
        return say(Verdict.VACUOUS, empty)
    return say(Verdict.CLEAN, f"0 corruptions in {figures['windows']} windows")


def _figures(transcript: Transcript) -> dict[str, Any]:
    """The highest counts that any record tells: the end record may be lost."""
    counted = transcript.of("progress") + transcript.of("end")
    corrupt = transcript.of("corrupt")
    env, end = transcript.last("env"), transcript.last("end")
    times = [t for record in counted if (t := record.seconds()) is not None]
    return {
        "windows": max((r.number("windows") for r in counted), default=0),
        "checks": max((r.number("checks") for r in counted), default=0),
        "corruptions": max([len(corrupt), *(r.number("corruptions") for r in counted)]),
        # The fewest that there can have been, where the last count was lost.
        "hits": max([min(len(corrupt), 1), *(r.number("hits") for r in counted)]),
        "first_corruption": corrupt[0].seconds() if corrupt else None,
        "stressed": max(times, default=None),
        "env": env.fields if env else {},
        "end": end.fields if end else {},
        "example": corrupt[0].fields if corrupt else {},
    }


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
    if env and env.fields.get("fpu") == "eager" and _release(env) >= _LAZY_GONE:
        notes.append("this kernel has no lazy FPU mode: a first use does not trap")
    if env and _ALLOCATION_GONE <= _release(env) < _LAZY_GONE and not facts.control:
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


def _agrees(counted: Record) -> bool:
    """The kernel counts every window, and the first use of each other process of the program."""
    extra = counted.number("counted") - counted.number("windows")
    return 0 <= extra <= counted.number("others")


def _death(
    start: Record | None, transcript: Transcript, console: bytes, ending: Ending | None
) -> tuple[Verdict, str] | None:
    if ending is None:
        return Verdict.LAB_ERROR, "the lab was killed during this trial"
    if ending.how in ("lab_error", "interrupted"):
        return Verdict.LAB_ERROR, ending.detail or "interrupted"
    # What happens after the end record, while the guest is powered off, is not the trial.
    died = consoletext.death(console[: console.find(b" end t=")])
    if died:
        return Verdict.CRASHED, died
    if start is None:
        return Verdict.CRASHED, f"silent: the program never started ({_how(ending)})"
    if transcript.last("end") is None:
        last = transcript.records[-1]
        return Verdict.CRASHED, f"fell silent after record {last.seq} ({_how(ending)})"
    return None


def _how(ending: Ending) -> str:
    words = {"deadline": "stopped at the deadline", "exited": "the machine stopped by itself"}
    text = words.get(ending.how, ending.how)
    return f"{text} after {ending.seconds:.0f} s" + (f", {ending.detail}" if ending.detail else "")


def _detector_fault(transcript: Transcript) -> str | None:
    """A detector's silence counts only after it caught what was put before it."""
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


def _vacuity(facts: TrialFacts, transcript: Transcript, figures: dict[str, Any]) -> str | None:
    """Why a clean run could not have shown a corruption; None when it could."""
    env = transcript.last("env")
    if env is None:
        return "no env record: FPU mode and Xen are unknown"
    return (
        _wrong_xen(facts, env)
        or _wrong_fpu(facts, env)
        or _another_fix(facts, env)
        or _idle_roles(transcript)
        or _no_shortage(transcript)
        or _too_little(facts, figures["windows"], figures["checks"])
    )


def _another_fix(facts: TrialFacts, env: Record) -> str | None:
    if facts.carries:
        return f"the kernel carries another fix: {facts.carries}"
    if facts.carries is None and not facts.control and env.fields.get("control") == "fixed":
        return "the kernel carries another fix: it says that it is the fixed control kernel"
    return None


def _idle_roles(transcript: Transcript) -> str | None:
    """Openers check too, but mostly see their own registers: the victims are the detectors."""
    end = transcript.last("end")
    if end is None:
        return None
    if end.number("inherited"):
        return (
            f"the openers' parent had used the FPU: {end.number('inherited')} first uses of its "
            "children opened no window"
        )
    counted = transcript.last("allocations")
    if counted and counted.number("windows") and not counted.number("counted"):
        return "no window at all: the kernel itself counted no allocation in #NM"
    if end.fields.get("victim_checks") == "0":
        return "the victims never ran: only openers checked their registers"
    return None


def _no_shortage(transcript: Transcript) -> str | None:
    """Pressure that the kernel never felt: its allocations did not have to wait."""
    start, end = transcript.last("start"), transcript.last("end")
    if start and end and start.number("pressure") and not end.number("pressed"):
        return "memory never ran short: the kernel killed none of those that held it"
    return None


def _wrong_xen(facts: TrialFacts, env: Record) -> str | None:
    found, wanted = env.fields.get("xen", "unknown"), _DOMAIN[facts.guest]
    if found != wanted:
        return f"the guest found itself under xen={found}, a {facts.guest} cell needs {wanted}"
    if facts.guest == "dom0" and env.fields.get("dom0") == "0":
        return "a dom0 cell, but the kernel is not domain 0"
    return None


def _wrong_fpu(facts: TrialFacts, env: Record) -> str | None:
    fpu = env.fields.get("fpu", "unknown")
    state = env.fields.get("control", "none")
    if facts.control and state != facts.control:
        return f"the control kernel says state={state}, not {facts.control}"
    if fpu == "lazy":
        return None
    had_the_choice = facts.control or env.fields.get("fpuhow") == "control"
    if fpu == "eager" and _release(env) >= _LAZY_GONE and not had_the_choice:
        return None  # not a setting but what this kernel is; said in the notes
    if fpu == "eager":
        return f"FPU eager ({env.fields.get('fpuhow', '?')}): no window; {_lazy_by(_release(env))}"
    return "the FPU mode is unknown"


def _lazy_by(release: tuple[int, int]) -> str:
    """How to have it lazily. 4.2 to 4.5 may read the option after they have decided."""
    if (4, 2) <= release <= (4, 5):
        return "eagerfpu=off comes too late for this version: give Xen xsave=0 (xens:)"
    return "boot with eagerfpu=off"


def _release(env: Record) -> tuple[int, int]:
    found = re.match(r"(\d{1,3})\.(\d{1,4})", env.fields.get("release", ""))
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def _too_little(facts: TrialFacts, windows: int, checks: int) -> str | None:
    if windows == 0:
        return "no window at all"
    if windows < facts.min_windows:
        return f"too little exposure: {windows} windows, {facts.min_windows} wanted"
    if checks == 0:
        return "the victims never ran: no register was checked"
    if checks < facts.min_checks:
        return f"too little exposure: {checks} checks, {facts.min_checks} wanted"
    return None
