"""What a command does from configuration to exit code: the run's beginning and end."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import __version__
from lab.config.cells import Cell, cells, select
from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.evidence.run import FORMAT, RunFolder
from lab.qemu import icount
from lab.qemu.accelerator import processor
from lab.report.terminal import Terminal
from lab.run.claims import conclude
from lab.run.schedule import Run
from lab.run.verify import rules
from lab.supplies.gather import Supplies, gather, gather_host
from lab.system.deadline import Deadline
from lab.system.files import short
from lab.system.process import cores
from lab.trial.trial import CAPSULE
from lab.trial.xenhost import ROW, nested_host
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

if TYPE_CHECKING:  # what it imports is for cells on a Xen host only
    from lab.host.nested import NestedHost


def run(config: LabConfig, path: Path, wanted: list[str], keep_host: bool, repeat: str) -> int:
    """`lab run`: a new run's folder, all its cells, the closing table."""
    terminal = Terminal()
    chosen = select(cells(config), wanted)
    if config.stress.search:
        from lab.search.command import tuned

        config = tuned(config, chosen)
        chosen = select(cells(config), wanted)
    began = time.monotonic()
    supplies = gathered(config, chosen, terminal, [name for name in wanted if "*" not in name])
    folder = RunFolder.create()
    folder.time("gathering", time.monotonic() - began)
    folder.write_text("lab.yaml", path.read_text())
    _record(folder, config, chosen, supplies, repeat)
    return _execute(config, chosen, supplies, folder, terminal, keep_host, repeat)


def experiment(
    config: LabConfig,
    chosen: list[Cell],
    folder: RunFolder,
    terminal: Terminal,
    keep_host: bool,
    repeat: str,
) -> list[CellVerdict]:
    """A run as a step of something larger: gather, run into ``folder``, the cells' verdicts.

    ``terminal`` shows the progress and should be a new one for each step. Raises
    KeyboardInterrupt when a person ended it; the folder then holds what was done, and
    `lab run --resume` on it would go on.
    """
    supplies = gathered(config, chosen, terminal, [])
    _record(folder, config, chosen, supplies, repeat)
    stop = threading.Event()
    work = Run(
        config, chosen, supplies, folder, terminal.board, stop, _facts(supplies), repeat, keep_host
    )
    with terminal.progress():
        outcomes = work.execute()
    if stop.is_set():
        raise KeyboardInterrupt
    return outcomes


def _record(
    folder: RunFolder, config: LabConfig, chosen: list[Cell], supplies: Supplies, repeat: str
) -> None:
    """What will be run, before anything is."""
    folder.write("config.json", config.model_dump(mode="json"))
    folder.write("plan.json", {"cells": [asdict(cell) for cell in chosen]})
    folder.write("manifest.json", manifest(supplies, repeat))


def resume(path: Path, keep_host: bool) -> int:
    """`lab run --resume`: what has a verdict stays, the rest is run."""
    folder = RunFolder.open(path)
    config = LabConfig.model_validate(folder.read("config.json"))
    chosen = [Cell(**cell) for cell in folder.plan()]
    terminal = Terminal()
    supplies = gathered(config, chosen, terminal, [])
    began = folder.manifest()
    repeat = str(began["command"])
    found = supplies.provenance()
    if found["kernels"] != began["supplies"]["kernels"]:
        terminal.say("the kernels have changed since this run began: it cannot be resumed")
        return Verdict.LAB_ERROR.exit_code
    began.setdefault("resumed", []).append(_now())
    folder.write("manifest.json", began)
    return _execute(config, chosen, supplies, folder, terminal, keep_host, repeat)


def prepare(config: LabConfig, chosen: list[Cell]) -> None:
    """`lab prepare`: everything that a run would need, nothing booted."""
    terminal = Terminal()
    gathered(config, chosen, terminal, [])
    terminal.say("everything is there")


def host_start(config: LabConfig) -> None:
    """`lab host start`: boot the nested host, or find it running, and leave it."""
    from lab.host.nested import READY_SECONDS

    terminal = Terminal()
    host = _nested(config, terminal)
    with terminal.progress():
        host.start(Deadline(READY_SECONDS), lambda state: terminal.board.state(ROW, state))
    assert host.shell is not None
    host.keep()
    address = host.shell.address
    terminal.say("the Xen host is ready; `lab run` will use it, `lab host stop` ends it")
    terminal.say(f"ssh -i {address.identity} -p {address.port} {address.user}@{address.host}")
    host.release()


def host_stop(config: LabConfig) -> None:
    """`lab host stop`."""
    terminal = Terminal()
    _nested(config, terminal).stop()
    terminal.say("no Xen host is running now")


def host_status(config: LabConfig) -> int:
    """`lab host status`: 0 when it runs, 4 when it does not."""
    terminal = Terminal()
    host = _nested(config, terminal)
    running = host.running()
    terminal.say("the Xen host is running" if running else "no Xen host is running")
    host.release()
    return 0 if running else Verdict.LAB_ERROR.exit_code


def _nested(config: LabConfig, terminal: Terminal) -> NestedHost:
    if config.host.kind != "nested":
        raise UserError("lab.yaml: host.kind is real: the lab does not start or stop that host")
    return nested_host(config, gather_host(config, terminal.board.state))


def gathered(
    config: LabConfig, chosen: list[Cell], terminal: Terminal, exact: list[str]
) -> Supplies:
    """Everything that the cells boot, with the progress shown."""
    supplying = Terminal(terminal.console)
    terminal.say("gathering kernels and images")
    with supplying.progress():
        return gather(config, chosen, supplying.board.state, exact)


def _execute(
    config: LabConfig,
    chosen: list[Cell],
    supplies: Supplies,
    folder: RunFolder,
    terminal: Terminal,
    keep_host: bool,
    repeat: str,
) -> int:
    began = time.monotonic()
    what = "1 cell" if len(chosen) == 1 else f"{len(chosen)} cells"
    terminal.say(
        f"{what} on QEMU {supplies.qemu.version} "
        f"({supplies.accel.name}), {cores()} cores; evidence in {short(folder.path)}"
    )
    stop = threading.Event()
    facts = _facts(supplies)
    work = Run(
        config, chosen, supplies, folder, terminal.board, stop, facts, repeat, keep_host
    )  # fmt: skip
    with terminal.progress():
        outcomes = work.execute()
    code = work.exit_code()
    terminal.say("")
    terminal.table(outcomes)
    wrong = [cell.cell.id for cell in outcomes if cell.verdict is not None and not cell.as_expected]
    verdict = (
        "every cell shows what it should" if not wrong else f"not as it should: {', '.join(wrong)}"
    )
    terminal.say(f"\n{verdict} ({time.monotonic() - began:.0f} s)")
    if stop.is_set():
        terminal.say(f"interrupted; go on with: lab run --resume {short(folder.path)}")
    claims = conclude(config, outcomes, facts, repeat, folder, terminal)
    for line in _replayable(config, outcomes, folder):
        terminal.say(line)
    terminal.say(f"evidence  {short(folder.path)}")
    terminal.say(f"again     {repeat}")
    terminal.say(f"check it  lab verify {short(folder.path)}")
    return 130 if stop.is_set() else code or claims


def _replayable(config: LabConfig, outcomes: list[CellVerdict], folder: RunFolder) -> list[str]:
    """How a corruption of this run can be replayed, or made so that it can."""
    found = [cell.cell for cell in outcomes if cell.verdict is Verdict.CORRUPTS]
    if config.icount is not None:
        kept = [trial.path for cell in found for trial in folder.trials(cell.id)]
        return [f"replay    lab replay {short(path)}" for path in kept if (path / CAPSULE).exists()]
    own = [cell.id for cell in found if icount.impossible(cell) is None]
    return [f"make it replayable: lab capsule {cell}" for cell in own]


def manifest(supplies: Supplies, repeat: str) -> dict[str, Any]:
    """A run's manifest.json: what is run, by what, on what."""
    return {
        "format": FORMAT,
        "lab": __version__,
        "rules": rules(),
        "began": _now(),
        "command": repeat,
        "argv": sys.argv,
        "machine": {
            "kernel": platform.release(),
            "system": _pretty_name(),
            "processor": processor(),
            "cores": cores(),
            "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
            "python": platform.python_version(),
        },
        "supplies": supplies.provenance(),
    }


def _facts(supplies: Supplies) -> dict[str, str]:
    kernels = "; ".join(f"{n} is {b.image.version}" for n, b in supplies.kernels.items())
    facts = {
        "machine": f"{processor()}, {cores()} cores, {_pretty_name()}",
        "QEMU": f"{supplies.qemu.version}, {supplies.accel.name} ({supplies.accel.why})",
        "kernels": kernels,
    }
    if supplies.xen:
        facts["Xen"] = f"{supplies.xen.package} {supplies.xen.version}"
    elif supplies.image:
        facts["Xen"] = ", ".join(supplies.image.hypervisor())
    facts |= {f"Xen {n}": f"{x.package} {x.version} {x.args}" for n, x in supplies.xens.items()}
    return facts


def _pretty_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
