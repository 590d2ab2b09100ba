# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab replay --gdb`: a capsule's boot, stopped before its corruption, in gdb."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError
from lab.exitcodes import Exit
from lab.gdb import program, scene
from lab.gdb.place import Elfs, Place, find_place, go_to
from lab.gdb.program import Session
from lab.replay import compare
from lab.replay.capsule import Capsule, locate, opened
from lab.replay.compare import find_emulator
from lab.report.terminal import Terminal
from lab.system.scratch import open_scratch
from lab.trace import elf
from lab.trace.corruption import ROW, record_shown
from lab.trace.landmarks import CURRENT, PER_CPU
from lab.trace.recording import REWINDABLE, SOCKET, Recording, attached, started


@dataclass(frozen=True)
class Wanted:
    """The arguments, checked."""

    stop: str
    vmlinux: Path | None
    xen_syms: Path | None
    commands: Sequence[str]


def check_wanted(
    stop: str | None, vmlinux: Path | None, xen_syms: Path | None, commands: Sequence[str]
) -> Wanted:
    """Check the arguments; UserError for an unknown ``stop``."""
    stop = stop or scene.STOPS[0]
    if stop not in scene.STOPS:
        raise UserError(f"--stop {stop!r}: should be one of {', '.join(scene.STOPS)}")
    return Wanted(stop, vmlinux, xen_syms, commands)


def debug(path: Path, wanted: Wanted) -> int:
    """Record, find the place, stop there, run gdb; then 0 or 8 by the console, as `lab replay`."""
    gdb = program.find()
    terminal = Terminal()
    with opened(locate(path)) as capsule, open_scratch("gdb", SOCKET) as scratch:
        elfs = _gather_elfs(capsule, wanted, scratch)
        terminal.say(f"{capsule.manifest.cell}: {capsule.manifest.shows}")
        with terminal.progress():
            recording = _record(capsule, scratch, terminal)
            place = find_place(capsule, recording, elfs, wanted.stop, terminal)
        with started(recording, scratch, bool(recording.options)) as machine:
            with terminal.progress(), attached(machine) as stub:
                terminal.board.state(ROW, "replaying up to that place")
                go_to(stub, place, bool(recording.options))
            facts = scratch / "facts.json"
            facts.write_text(json.dumps(_gather_facts(place, elfs)))
            for line in [*place.lines, f"the console: {machine.console}", ""]:
                terminal.say(line)
            session = Session(gdb, elfs.all, machine.socket, facts, wanted.commands)
            program.run(program.argv(session))
            code, said = judge(capsule.console, machine.console.read_bytes())
        for line in said:
            terminal.say(line)
        return code


def judge(expected: bytes, found: bytes) -> tuple[int, list[str]]:
    """What the console says about the boot under gdb: pure."""
    parting = compare.compare(expected, found)
    if parting is None:
        return Exit.OK, [f"identical: {len(found):,} bytes of console"]
    if expected.startswith(found):
        many = f"{len(found):,} of {len(expected):,} bytes of console"
        return Exit.OK, [f"ended before the boot's end: {many}, identical so far"]
    why = "what the boot prints is printed again after going back over it in gdb"
    return Exit.REPLAY_DIFFERS, compare.describe(parting, [why])


def _gather_elfs(capsule: Capsule, wanted: Wanted, scratch: Path) -> Elfs:
    stress = scratch / "mmxstress"
    stress.write_bytes(elf.extract_program(capsule))
    kernel = wanted.vmlinux or capsule.vmlinux
    if kernel is not None:
        kernel = elf.find_kernel(capsule, kernel).absolute()
    xen = elf.find_xen(capsule, wanted.xen_syms)
    return Elfs(stress, kernel, xen.absolute() if xen else None)


def _record(capsule: Capsule, scratch: Path, terminal: Terminal) -> Recording:
    """Record so that gdb can step back, where the boot is then still the capsule's."""
    boot = capsule.boot(str(find_emulator().path))
    for options in (REWINDABLE, ()):
        folder = scratch / f"recording{len(options)}"
        folder.mkdir()
        made = record_shown(boot, folder, ROW, terminal, options)
        if made.console.read_bytes() == capsule.console:
            break
    return made


def _gather_facts(place: Place, elfs: Elfs) -> dict[str, object]:
    """What lab.gdb.inside needs to know."""
    kernel = elf.read_kernel(elfs.kernel) if elfs.kernel else None
    current, offset = (kernel.first(names) if kernel else None for names in (CURRENT, PER_CPU))
    return {
        "tasks": place.tasks,
        "current": current[1] if current else None,
        "per_cpu": offset[1] if offset else None,
    }
