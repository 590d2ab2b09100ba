# SPDX-License-Identifier: GPL-2.0-or-later
"""`make speed`: the lab's own speed beside that of plain QEMU, interleaved; medians of rounds.

Each round does everything once, one after the other, so that a machine that is busy for a while
disturbs all of it alike. Nothing here is a test: it prints figures, and what they should be.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from lab.config.cells import cells, select
from lab.config.load import load
from lab.supplies.gather import Supplies, gather
from lab.system.cache import cache_dir
from lab.trial.assignment import gather_facts, make_assignment
from lab.trial.job import Job
from lab.trial.machine import OwnMachine
from lab.verdict.stopping import Asked
from tests.helpers.project import PROJECT

CONFIG = PROJECT / "lab.yaml"
DOM0, PV = "dom0-control-bad", "pv-control-bad"
QEMU = "plain QEMU: start to /init"
VERDICT = "lab run, dom0 cell: command to verdict"
OVERHEAD = "lab run: command to the start of QEMU"
TAIL = "lab run: verdict to its end"
HELP = "lab --help"
COLD = "Xen host: cold boot to ready"
SAVE = "Xen host: saving its state, once"
RESUME = "Xen host: resume to ready"
PV_RUN = "lab run, pv cell from the saved state"
Lines = list[tuple[float, str]]


class Figures:
    """Seconds by what took them."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def add(self, what: str, seconds: float) -> None:
        self._seconds.setdefault(what, []).append(seconds)

    def median(self, what: str) -> float:
        return median(self._seconds[what])

    def show(self) -> None:
        width = max(map(len, self._seconds))
        print(f"\n{'seconds':<{width}}  median   least    most  rounds")
        for what, found in self._seconds.items():
            figures = f"{median(found):7.2f} {min(found):7.2f} {max(found):7.2f}"
            print(f"{what:<{width}} {figures} {len(found):7}")


def lab(*words: str) -> tuple[Lines, float]:
    """Run a command of the lab: its lines, each with the second at which it came, and the end."""
    began = time.monotonic()
    argv = [sys.executable, "-c", "from lab.cli.main import main; main()", *words]
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [(time.monotonic() - began, line.rstrip()) for line in process.stdout]
    if process.returncode != 0:
        raise SystemExit(
            f"lab {' '.join(words)} failed ({process.returncode}):\n"
            + "\n".join(one for _, one in lines)
        )
    return lines, time.monotonic() - began


def when(lines: Lines, words: str) -> float:
    """When a line with ``words`` came first."""
    for second, line in lines:
        if words in line:
            return second
    raise SystemExit(f"no line said {words!r}:\n" + "\n".join(line for _, line in lines))


def plain_boot(supplies: Supplies) -> float:
    """From QEMU's start to the first words of /init, with nothing of the lab running."""
    config = load(CONFIG)
    (cell,) = select(cells(config), [DOM0])[:1]
    facts = gather_facts(cell, 1, config)
    nothing: Any = None
    job = Job(config, supplies, nothing, nothing, nothing)
    task = make_assignment(job, cell, facts, Asked(0, 1))
    with tempfile.TemporaryDirectory(prefix="lab-bench-") as folder:
        console = Path(folder) / "console.log"
        console.touch()
        argv = OwnMachine(supplies).describe(task, console)["qemu"]
        began = time.monotonic()
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
            try:
                while b"@mmx 0 start " not in console.read_bytes():
                    if process.poll() is not None or time.monotonic() - began > 600:
                        raise SystemExit("plain QEMU did not come to /init")
                    time.sleep(0.01)
                return time.monotonic() - began
            finally:
                process.kill()


def own_machine(figures: Figures, supplies: Supplies) -> None:
    figures.add(HELP, lab("--help")[1])
    figures.add(QEMU, plain_boot(supplies))
    lines, end = lab("run", DOM0, "--trials", "1")
    verdict = when(lines, "CORRUPTS: ")
    figures.add(OVERHEAD, when(lines, "booting"))
    figures.add(VERDICT, verdict)
    figures.add(TAIL, end - verdict)


def xen_host(figures: Figures, cold: bool) -> None:
    if cold:
        shutil.rmtree(cache_dir() / "host" / "saved", ignore_errors=True)
        lines, _ = lab("host", "start")
        lab("host", "stop")
        figures.add(COLD, when(lines, "saving its state") - when(lines, "creating the host"))
        figures.add(SAVE, when(lines, "resuming") - when(lines, "saving its state"))
    lines, _ = lab("host", "start")
    lab("host", "stop")
    figures.add(RESUME, when(lines, "the Xen host is ready") - when(lines, "resuming"))
    figures.add(PV_RUN, lab("run", PV, "--trials", "1")[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-host", action="store_true", help="dom0 cells only")
    parser.add_argument("--warm", action="store_true", help="no cold boots of the Xen host")
    args = parser.parse_args()
    config = load(CONFIG)
    wanted = [DOM0] if args.no_host else [DOM0, PV]
    chosen = select(cells(config), wanted)
    supplies = gather(config, chosen, lambda *_words: None, [])
    lab("run", DOM0, "--trials", "1")  # nothing is measured that is done but once
    figures = Figures()
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    try:
        for number in range(1, args.rounds + 1):
            own_machine(figures, supplies)
            if not args.no_host:
                xen_host(figures, cold=not args.warm)
            print(f"round {number} of {args.rounds}, load {os.getloadavg()[0]:.1f}", flush=True)
    finally:
        figures.show()
    print(f"\nlab run / plain QEMU: {figures.median(VERDICT) / figures.median(QEMU):.2f} (1.5)")
    if not args.no_host and not args.warm:
        share = figures.median(RESUME) / figures.median(COLD)
        print(f"resume / cold boot: {share:.3f} (0.1)")


if __name__ == "__main__":
    main()
