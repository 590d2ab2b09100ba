# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's check, part by part: what cannot work without an earlier part is left out after it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from lab.board.board import Board
from lab.board.console import Following
from lab.config.cells import Cell
from lab.errors import LabError
from lab.health.counting import Bench, Counting, boot
from lab.health.goodsystem import GoodSystem
from lab.health.parts import Parts
from lab.system.deadline import Deadline
from lab.trial.job import Job
from lab.trial.trial import run_trial
from lab.verdict.severity import Verdict
from lab.verdict.stopping import Asked

_OF_THE_SYSTEM = ("own system", "clock", "Xen")
_CONTROLS = ("native", "dom0")
_MOST_BOOTS = {Verdict.CLEAN: 2, Verdict.CORRUPTS: 3}  # an intermittent bug may miss a short boot


@dataclass(frozen=True)
class Controls:
    """The short control: native has to be clean and dom0 to corrupt."""

    job: Job
    native: Cell
    dom0: Cell


def check_booting(
    parts: Parts, bench: Bench, good: GoodSystem | None, controls: Controls | None
) -> None:
    """A board that boots what it is given. ``good``, ``controls``: None where not to be checked."""
    with contextlib.ExitStack() as stack:
        first = _switch(parts, stack, bench, 1)
        if first is None:
            return parts.skip("power failed")
        parts.run("console", first.count)
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        second = _switch(parts, stack, bench, 2)
        if second is None:
            return parts.skip("power failed")
        returned = parts.run("boot once", lambda: second.await_return(Deadline(bench.boot_seconds)))
        if returned:
            _check_system(parts, good, Deadline(bench.boot_seconds), began)
        else:
            parts.skip("boot once failed", *_OF_THE_SYSTEM)
    if controls is None:
        return parts.skip("left out by --quick", *_CONTROLS)
    native, dom0 = controls.native, controls.dom0
    parts.run("native", lambda: _boot_control(controls.job, bench, native, Verdict.CLEAN))
    parts.run("dom0", lambda: _boot_control(controls.job, bench, dom0, Verdict.CORRUPTS))
    return None


def _switch(
    parts: Parts, stack: contextlib.ExitStack, bench: Bench, number: int
) -> Counting | None:
    """Off and on with the counting program; None when the console does not show that boot."""
    booted: list[Counting] = []

    def switch() -> str:
        counting = stack.enter_context(boot(bench, number, "off" if number == 1 else "reboot"))
        seconds = counting.await_nonce(Deadline(bench.boot_seconds))
        booted.append(counting)
        return f"off and on; the console shows this boot's nonce after {seconds:.1f} s"

    parts.run("power" if number == 1 else "power again", switch)
    return booted[0] if booted else None


def check_without_boot(
    parts: Parts, machine: Board, good: GoodSystem | None, console: Path, seconds: float, why: str
) -> None:
    """A board that the check boots nothing on: it has power, a console, perhaps a system.

    ``why``: the words beside the parts that need a boot.
    """
    with machine.console.follow(console) as following:
        began = time.monotonic()
        speaks = parts.run("power", lambda: _speak(machine, following, seconds))
        parts.skip(why, "console")
        if not speaks:
            return parts.skip("power failed")
        began = time.monotonic()
        parts.run("power again", lambda: _speak(machine, following, seconds))
        parts.skip(why, "boot once")
        _check_system(parts, good, Deadline(seconds), began)
        machine.power.off()
    return parts.skip(why, *_CONTROLS)


def _speak(machine: Board, following: Following, seconds: float) -> str:
    """Without a boot of ours there is no nonce: only that it speaks after it was switched on."""
    machine.power.off()
    size = following.size
    machine.power.on()
    deadline = Deadline(seconds)
    if size == 0:
        following.wait_for_bytes(deadline)
    while following.size == size:
        following.check()
        if deadline.expired:
            raise LabError(f"its console says nothing within {seconds:.0f} s after power-on")
        deadline.pause(0.1)
    return "off and on; the console speaks after it (nothing was booted, so without a nonce)"


def _check_system(parts: Parts, good: GoodSystem | None, deadline: Deadline, began: float) -> None:
    """The known-good system, which comes up meanwhile."""
    if good is None:
        return parts.skip("no ssh:", *_OF_THE_SYSTEM)
    if not parts.run("own system", lambda: good.await_answer(deadline, began)):
        return parts.skip("own system failed", "clock", "Xen")
    parts.run("clock", good.read_clock)
    parts.run("Xen", good.read_xen)
    with contextlib.suppress(LabError):
        good.leave()
    return None


def _boot_control(job: Job, bench: Bench, cell: Cell, wanted: Verdict) -> str:
    for number in range(1, _MOST_BOOTS[wanted] + 1):
        found = run_trial(job, cell, number, bench.place, Asked(0, 0))
        if found.verdict is wanted:
            return f"{cell.id} {found.verdict.value}: {found.reason}"
        if wanted is Verdict.CLEAN and found.verdict is not Verdict.LAB_ERROR:
            break
    raise LabError(
        f"{cell.id} should be {wanted.value}, it is {found.verdict.value}: {found.reason}"
    )
