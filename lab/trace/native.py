# SPDX-License-Identifier: GPL-2.0-or-later
"""The other side of the diagram: the same kernel and ramdisk booted without Xen."""

from __future__ import annotations

from dataclasses import replace

from lab.kernel import symbols
from lab.kernel.symbols import Symbols
from lab.qemu.boot import Boot
from lab.report.terminal import Terminal
from lab.system.scratch import open_scratch
from lab.trace import seek, story
from lab.trace.corruption import BEFORE_NS, record_events, record_shown
from lab.trace.event import Trace
from lab.trace.landmarks import find_landmarks
from lab.trace.recording import stopped

_ROW = "native"
# Without Xen the #NM is so short that a wake-up seldom falls into its allocation. A slower
# processor makes it longer beside the victims' naps: 32 ns an instruction, and enough windows.
_SHIFT = 5
_WINDOWS = 600
_REPLACED = tuple(
    f"mmx.{key}=" for key in ("windows", "tried", "at_least", "checks", "stop", "seconds")
)
_TRIES = 4


def trace_natively(
    boot: Boot, kernel: Symbols, program: Symbols, terminal: Terminal
) -> Trace | None:
    """A task that sleeps in its #NM without Xen; None, with a word, where none did."""
    marks = find_landmarks(kernel, program, pv=False)
    with open_scratch("trace") as folder:
        recording = record_shown(without_xen(boot), folder, _ROW, terminal)
        terminal.board.state(_ROW, "looking for a task that sleeps in its #NM")
        version = symbols.read_version(boot.kernel)
        title = f"Linux {version} natively ({1 << _SHIFT} ns an instruction)"
        made = Trace(title, False, version, marks.names, None)
        for skip in range(_TRIES):
            with stopped(recording) as stub:
                at = seek.run_to_sleeping_window(stub, marks, skip)
            if at is None:
                break
            start = at - (BEFORE_NS[0] >> _SHIFT)
            made.events = record_events(recording, marks, start, corrupts=False)
            if made.events and story.complete(made.events, corrupts=False):
                terminal.board.finish(_ROW, None, f"{len(made.events)} events", None)
                return made
        said = f"no opener slept in its #NM in {_WINDOWS} windows: no native side"
        terminal.board.finish(_ROW, None, said, None)
        return None


def without_xen(boot: Boot) -> Boot:
    """A capsule's boot without Xen, slower and with fewer windows: pure."""
    words = [word for word in boot.args.split(" ") if not word.startswith(_REPLACED)]
    words += [f"mmx.windows={_WINDOWS}", "mmx.seconds=60"]
    return replace(boot, xen=None, xen_args="", icount=_SHIFT, args=" ".join(words))
