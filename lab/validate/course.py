# SPDX-License-Identifier: GPL-2.0-or-later
"""Does this patch fix it, and break nothing else that we watch? The course of `lab validate`.

Rounds of fresh boots in one run's folder: in each round every cell boots once more, the kernel
without the patch beside the one with it, until the clean cells reach the wanted confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lab.config.cells import cells
from lab.config.lab import LabConfig
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.report.terminal import Terminal
from lab.run.experiment import run_experiment
from lab.system.files import shorten
from lab.validate import asking
from lab.validate import page as validatetext
from lab.validate.decision import Decision, Outcome, Pair, decide
from lab.validate.page import Row
from lab.validate.request import (
    AFTER,
    BEFORE,
    Names,
    Subject,
)
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

_MIN_ROUNDS = 3  # fresh boots of every cell, at least
FILE = "validate.json"


def round_config(config: LabConfig, number: int) -> LabConfig:
    """For round ``number``: one boot of each cell more than after the round before."""
    boots = min(number, config.confidence.max_boots)
    limits = {"control_boots": max(2, boots), "max_boots": boots}
    confidence = config.confidence.model_copy(update=limits)
    return config.model_copy(update={"trials": boots, "confidence": confidence})


def pair_cells(names: Names, outcomes: Sequence[CellVerdict]) -> list[Row]:
    """The cells without and with the patch, by the pair's name."""
    by_id = {found.cell.id: found for found in outcomes}
    return [(name, by_id[before], by_id[after]) for name, before, after in names]


def decide_rows(rows: Sequence[Row]) -> Decision:
    """What the cells say about the patch so far."""
    return decide([Pair(name, a.verdict, b.verdict) for name, a, b in rows])


def enough(rows: Sequence[Row], number: int, most: int) -> bool:
    """Whether another round would show nothing new: pure."""
    decision = decide_rows(rows)
    if number >= most:
        return True
    if decision.outcome is Outcome.LAB_ERROR:
        return False  # our own fault, the only outcome that is tried again
    if decision.outcome in (Outcome.BREAKS, Outcome.DOES_NOT_FIX):
        # Unless it is not known yet whether the cell was clean before.
        return not any(
            b.verdict is Verdict.CORRUPTS and a.verdict is Verdict.VACUOUS for _, a, b in rows
        )
    if number < _MIN_ROUNDS:
        return False
    if not any(
        a.verdict is Verdict.CORRUPTS or _unsure(a) for _, a, _ in rows if a.cell.is_control
    ):
        return True  # without a control no cell can be shown clean, however often it boots
    return not any(_unsure(found) for _, *both in rows for found in both)


def _unsure(found: CellVerdict) -> bool:
    """Vacuous only because of too little exposure: every boot alone was clean."""
    if found.verdict is not Verdict.VACUOUS:
        return False
    return all(trial.verdict in (Verdict.CLEAN, Verdict.LAB_ERROR) for trial in found.trials)


def run_rounds(folder: RunFolder, subject: Subject, repeat: str) -> int:
    """Boot rounds until there is a decision; its exit code, or 130."""
    config, most = subject.config, subject.config.confidence.max_boots
    broken = _build(config)
    if broken is not None:
        return _close(folder, subject, broken, [], 0, repeat)
    asked = asking.ask_both(folder, config, Terminal(), repeat)
    subject = replace(subject, facts={**subject.facts, **asking.describe(asked)})
    decided = asking.decide(asked)
    if decided is not None:
        return _close(folder, subject, decided, [], 0, repeat)
    by_id = {cell.id: cell for cell in cells(config)}
    chosen = [by_id[cell] for _, *pair in subject.names for cell in pair]
    # An interrupted round is continued: its boots are in the folder.
    failed_before = False
    number = max([1, *(len(folder.trials(cell.id)) for cell in chosen)])
    try:
        while True:
            terminal = Terminal()
            terminal.say(f"round {number}: {len(chosen)} cells, evidence in {shorten(folder.path)}")
            outcomes = run_experiment(
                round_config(config, number), chosen, folder, terminal, False, repeat, True
            )
            rows = pair_cells(subject.names, outcomes)
            failed = decide_rows(rows).outcome is Outcome.LAB_ERROR
            if enough(rows, number, most) or (failed and failed_before):
                break
            failed_before = failed
            number += 1
    except KeyboardInterrupt:
        Terminal().say(f"interrupted; resume with: lab validate --resume {folder.path}")
        return Exit.INTERRUPTED
    return _close(folder, subject, decide_rows(rows), rows, number, repeat)


def _build(config: LabConfig) -> Decision | None:
    """Build both trees. Breaks when only the patched one does not build."""
    from lab.kernel.make import BuildFailed
    from lab.kernel.resolve import resolve

    terminal = Terminal()
    for name in (BEFORE, AFTER):
        kernel = config.kernels.get(name)
        if kernel is None or kernel.tree is None:
            continue
        try:
            with terminal.progress():
                resolve(name, kernel, partial(terminal.board.state, name))
        except BuildFailed as error:
            if name == BEFORE:
                raise
            return Decision(Outcome.BREAKS, f"the patched tree does not build: {error}")
    return None


def _close(
    folder: RunFolder,
    subject: Subject,
    decision: Decision,
    rows: Sequence[Row],
    rounds: int,
    repeat: str,
) -> int:
    facts = {
        **subject.facts,
        **read_versions(folder, [found.cell.id for _, *both in rows for found in both]),
        "rounds": f"{rounds} of fresh boots, interleaved",
    }
    effects = [{"cell": n, "effect": Pair(n, a.verdict, b.verdict).effect} for n, a, b in rows]
    summary = {"outcome": decision.outcome.value, "reason": decision.reason, "rounds": rounds,
               "cells": effects}  # fmt: skip
    folder.write(FILE, {**folder.read(FILE), **summary})
    text = validatetext.page(subject.title, decision, rows, facts, subject.notes, repeat)
    folder.write_text("validate.txt", text)
    outcomes = [found for _, *both in rows for found in both]
    folder.write_text("junit.xml", validatetext.junit(decision, outcomes))
    folder.seal()
    terminal = Terminal()
    terminal.say(f"\n{text}")
    terminal.say(f"evidence  {folder.path}\ncheck it  lab verify {folder.path}")
    return decision.outcome.exit_code


def read_versions(folder: RunFolder, cells: Sequence[str]) -> dict[str, str]:
    """Versions from the manifest of the run, and where the cells were booted."""
    if not (folder.path / "manifest.json").is_file():
        return {}  # nothing was booted
    supplies = folder.manifest()["supplies"]
    if not supplies:
        return {}  # the two Xens were asked, and that was enough
    xen = supplies.get("xen") or {}
    image = (supplies.get("dom0_image") or {}).get("packages", {})
    hypervisor = next((f"{n} {v}" for n, v in image.items() if n.startswith("xen-hyper")), "")
    xens = supplies.get("xens") or {}
    booted = (trial for cell in cells for trial in folder.trials(cell))
    boards = {trial.facts().board for trial in booted if (trial.path / "trial.json").is_file()}
    qemu = f"{supplies['qemu']['version']}, {supplies['accelerator']['name']}"
    found = {
        **{f"{n} Xen": f"{x['package']}, {x['version']}" for n, x in xens.items()},
        "Xen": f"{xen['package']} {xen['version']}" if xen else "" if xens else hypervisor,
        "kernels": ", ".join(f"{n} {k['version']}" for n, k in supplies["kernels"].items()),
        "boards": ", ".join(sorted(boards - {""})),
        "QEMU": "" if boards and "" not in boards else qemu,
    }
    return {key: value for key, value in found.items() if value}
