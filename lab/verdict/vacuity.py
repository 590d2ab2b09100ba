# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a trial could not have shown a corruption: the one place that decides it. Pure."""

from __future__ import annotations

from lab.console.records import Record, Transcript
from lab.console.release import read_release
from lab.verdict.facts import TrialFacts

# The domain type that the program must see, for each guest kind.
_DOMAIN = {"native": "none", "dom0": "pv", "pv": "pv", "pvh": "pvh", "hvm": "hvm"}
# Lazy FPU switching, and the option for it, left Linux in 4.9 (c592b5734706, ca6938a1cd8a).
LAZY_GONE = (4, 9)
# The allocation in #NM left in 4.2 (7366ed771f6e).
ALLOCATION_GONE = (4, 2)


def find_vacuity(
    facts: TrialFacts, transcript: Transcript, windows: int, checks: int
) -> str | None:
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
        or _too_little(facts, windows, checks)
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
    """Memory pressure without effect: the kernel's allocations did not have to wait."""
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
    if fpu == "eager" and read_version(env) >= LAZY_GONE and not had_the_choice:
        return None  # not a setting but what this kernel is; said in the notes
    if fpu == "eager":
        return (
            f"FPU eager ({env.fields.get('fpuhow', '?')}): no window; {_lazy_by(read_version(env))}"
        )
    return "the FPU mode is unknown"


def _lazy_by(release: tuple[int, int]) -> str:
    """How to get lazy switching. 4.2 to 4.5 may read the option after they have decided."""
    if (4, 2) <= release <= (4, 5):
        return "eagerfpu=off comes too late for this version: give Xen xsave=0 (xens:)"
    return "boot with eagerfpu=off"


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


def read_version(env: Record) -> tuple[int, int]:
    """Major and minor number of the kernel; (0, 0) when the record does not say."""
    return read_release(env.fields.get("release", ""))[:2]
