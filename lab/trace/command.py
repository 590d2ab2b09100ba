# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab trace`: a capsule under the debugger interface, and the time diagram of what it shows."""

from __future__ import annotations

import json
from pathlib import Path

from lab.errors import UserError
from lab.exitcodes import Exit
from lab.kernel import symbols
from lab.replay.capsule import locate, opened
from lab.replay.compare import find_emulator
from lab.report.terminal import Terminal
from lab.system.files import shorten, write_atomic
from lab.system.scratch import open_scratch
from lab.trace import elf, story, svg, text
from lab.trace.corruption import ROW, record_shown, trace_corruption
from lab.trace.event import Trace
from lab.trace.landmarks import find_landmarks
from lab.trace.native import trace_natively


def trace(path: Path, output: str | None, vmlinux: Path | None) -> int:
    """Trace the corruption and its native counterpart; write and print the diagram."""
    terminal = Terminal()
    with opened(locate(path)) as capsule:
        kernel = elf.read_kernel(elf.find_kernel(capsule, vmlinux))
        program = symbols.read(elf.extract_program(capsule), "the stress program")
        boot = capsule.boot(str(find_emulator().path))
        if boot.xen is None:
            raise UserError(f"{path}: a native boot; the diagram begins with a dom0's corruption")
        with terminal.progress():
            with open_scratch("trace") as folder:
                recording = record_shown(boot, folder, ROW, terminal)
                marks = find_landmarks(kernel, program, pv=True)
                sides = [trace_corruption(capsule, recording, marks, terminal)]
            native = trace_natively(boot, kernel, program, terminal)
        sides += [native] if native else []
        _write(sides, output or f"{capsule.manifest.cell}.trace", terminal)
        return Exit.OK


def _write(sides: list[Trace], name: str, terminal: Terminal) -> None:
    stories = [story.build(side) for side in sides]
    drawn = text.draw(stories)
    body = json.dumps({"sides": [side.as_json() for side in sides]}) + "\n"
    files = {".txt": drawn, ".svg": svg.draw(stories), ".json": body}
    for suffix, content in files.items():
        target = Path(f"{name}{suffix}")
        try:
            write_atomic(target, content)
        except OSError as error:
            raise UserError(f"{target}: cannot be written ({error.strerror})") from None
    terminal.say(drawn)
    terminal.say("written to " + ", ".join(shorten(Path(f"{name}{suffix}")) for suffix in files))
