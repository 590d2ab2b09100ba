"""`lab trace`: a capsule under the debugger interface, and the time diagram of what it shows."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lab.console import records
from lab.console.watch import Glance
from lab.errors import LabError, UserError
from lab.kernel import symbols
from lab.kernel.symbols import Symbols
from lab.qemu.boot import Boot
from lab.replay.capsule import Capsule, locate, opened
from lab.replay.compare import find_emulator
from lab.report.terminal import Terminal
from lab.system.files import short, write_atomic
from lab.trace import elf as capsulesymbols
from lab.trace import recording as debugged
from lab.trace import story as tracestory
from lab.trace import svg as tracesvg
from lab.trace import text as tracetext
from lab.trace import tracer
from lab.trace.event import Event, Trace
from lab.trace.landmarks import Landmarks, landmarks
from lab.trace.recording import Recording

# How long before the corruption single events are recorded, and again when that is too short to
# hold the load of the value that was read. Virtual nanoseconds of instructions.
_BEFORE_NS = (20_000_000, 200_000_000)
# A failed check is noted by the program a little before it asks for its process id.
_EARLIER = 0.002  # seconds
# Without Xen the #NM is so short that a wake-up seldom falls into its allocation. A slower
# processor makes it longer beside the victims' naps: 32 ns an instruction, and enough windows.
_NATIVE_SHIFT = 5
_NATIVE_WINDOWS = 600
_REPLACED = ("mmx.windows=", "mmx.at_least=", "mmx.checks=", "mmx.stop=", "mmx.seconds=")


def trace(path: Path, output: str | None, vmlinux: Path | None) -> int:
    """Trace the corruption and its native counterpart; write and print the diagram."""
    terminal = Terminal()
    with opened(locate(path)) as capsule:
        kernel = capsulesymbols.read(capsulesymbols.kernel(capsule, vmlinux))
        program = symbols.read(capsulesymbols.program(capsule), "the stress program")
        boot = capsule.boot(str(find_emulator().path))
        if boot.xen is None:
            raise UserError(f"{path}: a native boot; the diagram begins with a dom0's corruption")
        with terminal.progress():
            with tempfile.TemporaryDirectory(prefix="lab-trace-") as name:
                recording = recorded(boot, Path(name), "dom0", terminal)
                marks = landmarks(kernel, program, pv=True)
                sides = [corruption(capsule, recording, marks, terminal)]
            native = _natively(boot, kernel, program, terminal)
        sides += [native] if native else []
        return _write(sides, output or f"{capsule.manifest.cell}.trace", terminal)


def corruption(
    capsule: Capsule, recording: Recording, marks: Landmarks, terminal: Terminal
) -> Trace:
    """The events around the first failed check of a recorded boot; LabError without one."""
    identical = recording.console.read_bytes() == capsule.console
    if not identical:
        terminal.say("this boot is not the capsule's; `lab replay` says where they part")
    terminal.board.state("dom0", "looking for the failed check")
    at = failed_check(recording, (marks.start, marks.failed))
    boot = recording.boot
    made = Trace("", boot.xen is not None, symbols.version(boot.kernel), marks.names, identical)
    for before in _BEFORE_NS:
        terminal.board.state("dom0", f"recording the last {before // 1_000_000} ms")
        start = at - (before >> (boot.icount or 0))
        made.events = _events(recording, marks, start, corrupts=True)
        if tracestory.has_source(made):
            break
    made.title = f"Linux {made.kernel} {'as dom0 (PV)' if made.pv else 'natively'}"
    terminal.board.done("dom0", None, f"{len(made.events)} events", None)
    return made


def failed_check(recording: Recording, places: tuple[int, int]) -> int:
    """The instruction, by its number, at which the program notes its first corruption."""
    corrupt = next(iter(records.parse(recording.console.read_bytes()).of("corrupt")), None)
    if corrupt is None:
        raise LabError("this boot does not corrupt here: nothing to trace")
    after = (corrupt.seconds() or 0.0) - _EARLIER
    with debugged.stopped(recording) as stub:
        at = tracer.failed_check(stub, *places, after)
    if at is None:
        raise LabError("the failed check was not found in the replay")
    return at


def _natively(boot: Boot, kernel: Symbols, program: Symbols, terminal: Terminal) -> Trace | None:
    """The same kernel and ramdisk without Xen; None, with a word, where no task slept."""
    marks = landmarks(kernel, program, pv=False)
    with tempfile.TemporaryDirectory(prefix="lab-trace-") as name:
        recording = recorded(native(boot), Path(name), "native", terminal)
        terminal.board.state("native", "looking for a task that sleeps in its #NM")
        version = symbols.version(boot.kernel)
        title = f"Linux {version} natively ({1 << _NATIVE_SHIFT} ns an instruction)"
        made = Trace(title, False, version, marks.names, None)
        for skip in range(4):
            with debugged.stopped(recording) as stub:
                at = tracer.sleeping_window(stub, marks, skip)
            if at is None:
                break
            start = at - (_BEFORE_NS[0] >> _NATIVE_SHIFT)
            made.events = _events(recording, marks, start, corrupts=False)
            if made.events and tracestory.complete(made.events, corrupts=False):
                terminal.board.done("native", None, f"{len(made.events)} events", None)
                return made
        said = f"no opener slept in its #NM in {_NATIVE_WINDOWS} windows: no native side"
        terminal.board.done("native", None, said, None)
        return None


def native(boot: Boot) -> Boot:
    """A capsule's boot without Xen, slower and with fewer windows: pure."""
    words = [word for word in boot.args.split(" ") if not word.startswith(_REPLACED)]
    words += [f"mmx.windows={_NATIVE_WINDOWS}", "mmx.seconds=60"]
    return replace(boot, xen=None, xen_args="", icount=_NATIVE_SHIFT, args=" ".join(words))


def recorded(
    boot: Boot, folder: Path, row: str, terminal: Terminal, options: Sequence[str] = ()
) -> Recording:
    """Record a boot, shown in a row of the terminal's board."""

    def seen(look: Glance) -> None:
        terminal.board.state(row, "recording: stressing" if look.started else "recording: booting")

    terminal.board.add(row)
    terminal.board.state(row, "recording: booting")
    return debugged.record(boot, folder, seen, options)


def _events(recording: Recording, marks: Landmarks, start: int, *, corrupts: bool) -> list[Event]:
    enough: Callable[[list[Event]], bool] = lambda events: tracestory.complete(events, corrupts)  # noqa: E731
    with debugged.stopped(recording) as stub:
        tracer.to_start(stub, marks)
        if start > stub.instructions():
            stub.run_to(start)
        return tracer.Tracer(stub, marks, enough).run()


def _write(sides: list[Trace], name: str, terminal: Terminal) -> int:
    stories = [tracestory.story(side) for side in sides]
    text = tracetext.text(stories)
    body = json.dumps({"sides": [side.as_json() for side in sides]}) + "\n"
    files = {".txt": text, ".svg": tracesvg.svg(stories), ".json": body}
    for suffix, content in files.items():
        target = Path(f"{name}{suffix}")
        try:
            write_atomic(target, content)
        except OSError as error:
            raise UserError(f"{target}: cannot be written ({error.strerror})") from None
    terminal.say(text)
    terminal.say("written to " + ", ".join(short(Path(f"{name}{suffix}")) for suffix in files))
    return 0
