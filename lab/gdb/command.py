"""`lab replay --gdb`: a capsule's boot stopped before its corruption, in the hands of gdb."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, UserError
from lab.exitcodes import Exit
from lab.gdb import program as gdbprogram
from lab.gdb import scene as gdbscene
from lab.gdb.program import Session
from lab.kernel import symbols
from lab.kernel.symbols import Symbols
from lab.replay import compare as replay
from lab.replay.capsule import Capsule, locate, opened
from lab.replay.compare import find_emulator
from lab.report.terminal import Terminal
from lab.trace import command as tracesession
from lab.trace import elf as capsulesymbols
from lab.trace import recording as debugged
from lab.trace.landmarks import CURRENT, PER_CPU, failing, landmarks
from lab.trace.recording import REWINDABLE, Recording
from lab.trace.stub import GdbStub

_ROW = "dom0"
_EARLIER_NS = 1_000_000  # before the failed check, where nothing better is known


@dataclass(frozen=True)
class Wanted:
    """What the user asked for."""

    stop: str
    vmlinux: Path | None
    xen_syms: Path | None
    commands: Sequence[str]


def wanted(
    stop: str | None, vmlinux: Path | None, xen_syms: Path | None, commands: Sequence[str]
) -> Wanted:
    """Checked; UserError for a stop that there is none of."""
    stop = stop or gdbscene.STOPS[0]
    if stop not in gdbscene.STOPS:
        raise UserError(f"--stop {stop!r}: should be one of {', '.join(gdbscene.STOPS)}")
    return Wanted(stop, vmlinux, xen_syms, commands)


@dataclass(frozen=True)
class _Place:
    """Where the machine is to stand, and what is said of it."""

    at: int  # instructions since power-on
    back: int  # so far one can go back
    lines: list[str]
    tasks: dict[int, str]


@dataclass(frozen=True)
class _Elfs:
    """Files with symbols; the kernel's and Xen's where there are any."""

    program: Path
    kernel: Path | None
    xen: Path | None

    @property
    def all(self) -> list[Path]:
        return [elf for elf in (self.kernel, self.program, self.xen) if elf is not None]


def debug(path: Path, wanted: Wanted) -> int:
    """Record, find, stop, hand over; then 0 or 7 by what the console came to, as `lab replay`."""
    program = gdbprogram.found()
    terminal = Terminal()
    with opened(locate(path)) as capsule, tempfile.TemporaryDirectory(prefix="lab-gdb-") as name:
        scratch = Path(name)
        elfs = _elfs(capsule, wanted, scratch)
        terminal.say(f"{capsule.manifest.cell}: {capsule.manifest.shows}")
        with terminal.progress():
            recording = _recorded(capsule, scratch, terminal)
            place = _place(capsule, recording, elfs, wanted.stop, terminal)
        with debugged.started(recording, scratch, bool(recording.options)) as machine:
            with terminal.progress(), debugged.attached(machine) as stub:
                terminal.board.state(_ROW, "going there once more")
                _stand(stub, place, bool(recording.options))
            facts = scratch / "facts.json"
            facts.write_text(json.dumps(_facts(place, elfs)))
            for line in [*place.lines, f"the console: {machine.console}", ""]:
                terminal.say(line)
            session = Session(program, elfs.all, machine.socket, facts, wanted.commands)
            gdbprogram.run(gdbprogram.argv(session))
            code, said = outcome(capsule.console, machine.console.read_bytes())
        for line in said:
            terminal.say(line)
        return code


def outcome(expected: bytes, found: bytes) -> tuple[int, list[str]]:
    """What the console says of the boot under gdb: pure."""
    parting = replay.compare(expected, found)
    if parting is None:
        return Exit.OK, [f"identical: {len(found):,} bytes of console"]
    if expected.startswith(found):
        many = f"{len(found):,} of {len(expected):,} bytes of console"
        return Exit.OK, [f"ended before the boot's end: {many}, identical so far"]
    why = "what is printed, is printed again after going back over it in gdb"
    return Exit.REPLAY_DIFFERS, replay.told(parting, [why])


def _elfs(capsule: Capsule, wanted: Wanted, scratch: Path) -> _Elfs:
    program = scratch / "mmxstress"
    program.write_bytes(capsulesymbols.program(capsule))
    kernel = wanted.vmlinux or capsule.vmlinux
    if kernel is not None:
        kernel = capsulesymbols.kernel(capsule, kernel).absolute()
    xen = capsulesymbols.xen(capsule, wanted.xen_syms)
    return _Elfs(program, kernel, xen.absolute() if xen else None)


def _recorded(capsule: Capsule, scratch: Path, terminal: Terminal) -> Recording:
    """With the means to go back, if the boot is the capsule's with them too."""
    boot = capsule.boot(str(find_emulator().path))
    for options in (REWINDABLE, ()):
        folder = scratch / f"recording{len(options)}"
        folder.mkdir()
        made = tracesession.recorded(boot, folder, _ROW, terminal, options)
        if made.console.read_bytes() == capsule.console:
            break
    return made


def _place(
    capsule: Capsule, recording: Recording, elfs: _Elfs, stop: str, terminal: Terminal
) -> _Place:
    program = symbols.read(elfs.program, "the stress program")
    if elfs.kernel is None:
        return _before_the_check(recording, program, "no symbols of the kernel (--vmlinux)")
    kernel = capsulesymbols.read(elfs.kernel)
    marks = landmarks(kernel, program, pv=recording.boot.xen is not None)
    trace = tracesession.corruption(capsule, recording, marks, terminal)
    try:
        scene = gdbscene.scene(trace)
    except LabError as error:
        return _before_the_check(recording, program, str(error))
    chosen = scene.at(stop)
    if chosen is None:
        names = ", ".join(moment.name for moment in scene.moments)
        raise UserError(f"--stop {stop}: not seen in this boot, which has {names}")
    lines = gdbscene.told(scene, chosen, bool(recording.options))
    return _Place(chosen.at, trace.events[0].at, lines, scene.tasks)


def _before_the_check(recording: Recording, program: Symbols, why: str) -> _Place:
    failed = tracesession.failed_check(recording, failing(program))
    at = failed - (_EARLIER_NS >> (recording.boot.icount or 0))
    return _Place(at, at, gdbscene.told_without(why, failed - at), {})


def _facts(place: _Place, elfs: _Elfs) -> dict[str, object]:
    """What lab.gdb.inside needs to know."""
    kernel = capsulesymbols.read(elfs.kernel) if elfs.kernel else None
    current, offset = (kernel.first(names) if kernel else None for names in (CURRENT, PER_CPU))
    return {
        "tasks": place.tasks,
        "current": current[1] if current else None,
        "per_cpu": offset[1] if offset else None,
    }


def _stand(stub: GdbStub, place: _Place, rewindable: bool) -> None:
    """Run to the place, with a snapshot on the way."""
    if rewindable and place.back < place.at:
        _run_to(stub, place.back)
        stub.keep("before")
    _run_to(stub, place.at)


def _run_to(stub: GdbStub, at: int) -> None:
    if not stub.run_to(at) or stub.instructions() != at:
        raise LabError(f"the replay did not come to its instruction {at:,}")
