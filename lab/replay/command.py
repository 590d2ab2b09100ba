# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab capsule` and `lab replay`, from arguments to exit code."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import asdict
from pathlib import Path

from lab.config import deterministic
from lab.config.cells import Cell, find_cell
from lab.config.lab import LabConfig
from lab.console.watch import Glance
from lab.errors import UserError
from lab.evidence.manifest import make_manifest
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.qemu.binary import Qemu
from lab.qemu.identity import identify
from lab.replay import compare as replaying
from lab.replay.capsule import SUFFIX, Capsule, locate, opened
from lab.replay.compare import find_emulator
from lab.replay.hunt import Hunt, candidates
from lab.report.terminal import Terminal
from lab.supplies.gather import gather_showing
from lab.system.files import replacing, shorten
from lab.system.scratch import open_scratch
from lab.trial.job import Job


def capsule(
    config: LabConfig,
    wanted: str,
    seeds: int,
    shifts: list[int],
    results: Path,
    output: Path | None,
) -> int:
    """`lab capsule`: search, keep, and prove by a replay. 3 when no boot corrupted."""
    terminal = Terminal()
    config = deterministic.configure(config, shifts[0])
    cell = _find_cell(config, wanted)
    supplies = gather_showing(config, [cell], terminal, [cell.id])
    folder = RunFolder.create(results)
    folder.write("config.json", config.model_dump(mode="json"))
    folder.write("plan.json", {"cells": [asdict(cell)]})
    folder.write("manifest.json", make_manifest(supplies.provenance(), f"lab capsule {wanted}"))
    terminal.say(
        f"searching up to {seeds * len(shifts)} boots of {wanted}; "
        f"evidence in {shorten(folder.path)}"
    )
    job = Job(config, supplies, folder, terminal.board, threading.Event())
    hunt = Hunt(job, cell)
    try:
        with terminal.progress():
            found = hunt.run(candidates(config.stress.seed, seeds, shifts))
    except KeyboardInterrupt:
        job.stop.set()
        raise
    finally:
        folder.seal()
    if found is None:
        terminal.say(f"no boot of {wanted} corrupted: try more --seeds, or other settings")
        return Exit.VACUOUS
    kept = output or Path(f"{wanted}{SUFFIX}")
    _copy(found, kept)
    terminal.say(f"kept as {kept}; replaying it to prove it")
    return replay(kept)


def replay(path: Path) -> int:
    """`lab replay`: 0 identical, 8 not."""
    terminal = Terminal()
    with opened(locate(path)) as capsule:
        binary = find_emulator()
        here = identify(binary.path)
        terminal.say(f"{capsule.manifest.cell}: {capsule.manifest.shows}")
        terminal.say(f"made by {capsule.manifest.qemu.version}")
        with open_scratch("replay") as folder:
            console = folder / "console.log"
            seconds = _boot(capsule, binary, console, terminal)
            expected, found = capsule.console, console.read_bytes()
            parting = replaying.compare(expected, found)
            if parting is None:
                terminal.say(f"identical: {len(found):,} bytes of console, in {seconds:.0f} s")
                return Exit.OK
            differs = replaying.command_differs(capsule)
            why = replaying.reasons(capsule.manifest.identity, here, differs)
            for line in replaying.describe(parting, why):
                terminal.say(line)
            kept = Path(f"{capsule.manifest.cell}.replayed.log")
            shutil.copyfile(console, kept)
            terminal.say(f"  the console of this replay is in {kept}")
            return Exit.REPLAY_DIFFERS


def _find_cell(config: LabConfig, wanted: str) -> Cell:
    cell = find_cell(config, wanted)
    why = deterministic.impossible(cell)
    if why:
        raise UserError(f"cell {wanted!r} cannot be made replayable: {why}")
    return cell


def _copy(source: Path, target: Path) -> None:
    try:
        with replacing(target) as out, source.open("rb") as kept:
            shutil.copyfileobj(kept, out)
    except OSError as error:
        raise UserError(
            f"{target}: cannot be written ({error.strerror}); the capsule is in {source}"
        ) from None


def _boot(capsule: Capsule, binary: Qemu, console: Path, terminal: Terminal) -> float:
    """Run it with progress; seconds of wall time."""
    row = capsule.manifest.cell
    stop = threading.Event()
    began = time.monotonic()

    def show(look: Glance) -> None:
        terminal.board.state(row, "stressing" if look.started else "booting")
        if look.windows or look.corruptions:
            terminal.board.counts(row, look.windows, look.corruptions)

    terminal.board.add(row)
    with terminal.progress():
        replaying.boot(capsule, binary, console, show, stop)
    return time.monotonic() - began
