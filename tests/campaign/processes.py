# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab as a user runs it, with a real QEMU; a process of it is killed or frozen at any moment.

It needs what `make test` has built. Each trial: a command begins, a victim is hit after a random
time, the command ends or is ended, nothing of it may be left, and `--resume` must end right.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy

from tests.campaign.trial import Outcome, Trial
from tests.helpers.lab import LAB, environment, outcomes
from tests.helpers.project import PROJECT

LEAST_SECONDS = 900.0  # a campaign that is shorter leaves this part out
_LIMIT = 1800.0
_RUN = """\
kernels: {control-bad: {control: bad}}
stress: {seconds: 3}
confidence: {control_boots: 2, level: 0.5}
expect: {corrupts: [dom0-control-bad]}
"""
_COMMAND = ["run", "-c", "lab.yaml", "native-control-bad", "dom0-control-bad"]
# Who is hit, with what. A frozen one is woken up after some seconds.
FAULTS = {
    "lab killed -9 in run": ("lab", signal.SIGKILL),
    "QEMU killed -9 in run": ("qemu", signal.SIGKILL),
    "lab frozen in run": ("lab", signal.SIGSTOP),
    "QEMU frozen in run": ("qemu", signal.SIGSTOP),
}


def find_children(pid: int) -> dict[int, str]:
    """A process's descendants, and their programs' names."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, rest = (entry / "stat").read_text().rsplit(")", 1)
            except OSError:
                continue
            parents[int(entry.name)] = (int(rest.split()[1]), name.split("(", 1)[1])
    found = {pid}
    while True:
        more = {one for one, (parent, _) in parents.items() if parent in found} - found
        if not more:
            return {one: parents[one][1] for one in found - {pid} if one in parents}
        found |= more


def _choose(pid: int, who: str) -> int | None:
    if who == "lab":
        return pid
    return next((one for one, name in find_children(pid).items() if name.startswith("qemu")), None)


def make_trial(number: int, seed: int) -> Trial:
    """Trial ``number`` of a campaign."""
    fault = list(FAULTS)[number % len(FAULTS)]
    chance = numpy.random.default_rng([seed, number])
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    try:
        (folder / "lab.yaml").write_text(_RUN)
        outcome, said = _attack(folder, *FAULTS[fault], float(chance.uniform(0.2, 25)))
    finally:
        shutil.rmtree(folder)
    return Trial("processes", fault, number, outcome, "", said)


def _attack(folder: Path, who: str, what: signal.Signals, after: float) -> tuple[Outcome, str]:
    log = (folder / "lab.log").open("wb")
    variables = {**environment(), "LAB_RESULTS": str(folder / "results")}
    lab = subprocess.Popen(
        [*LAB, *_COMMAND], cwd=folder, env=variables, stdout=log, stderr=log,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(after)
    victim = _choose(lab.pid, who)
    family = {lab.pid, *find_children(lab.pid)}
    if victim is None or lab.poll() is not None:
        _end(lab)
        return "right", f"nobody to be hit after {after:.1f} s"
    os.kill(victim, what)
    if what is signal.SIGSTOP:
        time.sleep(5)
        if Path(f"/proc/{victim}").exists():
            os.kill(victim, signal.SIGCONT)
    lab.wait(_LIMIT)
    family |= set(find_children(lab.pid))
    said = f"hit after {after:.1f} s, exit code {lab.returncode}"
    left = _find_left(family)
    if left:
        return "false", f"{said}; left: {left}"
    return _resume(folder, variables, said)


def _end(lab: subprocess.Popen[bytes]) -> None:
    if lab.poll() is None:
        lab.kill()
    lab.wait()


def _find_left(family: set[int]) -> list[str]:
    """Programs that live on after a moment, in which the kernel ends them."""
    end = time.monotonic() + 20
    while True:
        left = [Path(f"/proc/{pid}/stat") for pid in family]
        names = [path.read_text() for path in left if path.exists()]
        alive = [text.split(")")[0] for text in names if text.rsplit(")", 1)[1].split()[0] != "Z"]
        if not alive or time.monotonic() > end:
            return alive
        time.sleep(0.2)


def _resume(folder: Path, variables: dict[str, str], said: str) -> tuple[Outcome, str]:
    run = folder / "results" / "latest"
    if not (run / "manifest.json").is_file():
        return "right", f"{said}; no run had begun"
    words = [*LAB, "run", "--resume", str(run.resolve())]
    again = subprocess.run(
        words, cwd=PROJECT, env=variables, capture_output=True, timeout=_LIMIT, check=False
    )
    found = {cell: one["verdict"] for cell, one in outcomes(run).items()}
    wanted = {"native-control-bad": "CLEAN", "dom0-control-bad": "CORRUPTS"}
    whole = subprocess.run(
        [*LAB, "verify", str(run.resolve())], cwd=PROJECT, env=variables, capture_output=True,
        text=True, timeout=_LIMIT, check=False,
    )  # fmt: skip
    said += f", resumed {again.returncode}, {found}, verified {whole.returncode}"
    if found != wanted or again.returncode or whole.returncode:
        strange = any(
            found.get(cell) in ("CLEAN", "CORRUPTS") and found[cell] != verdict
            for cell, verdict in wanted.items()
        )
        return ("false" if strange or whole.returncode else "again"), said
    return "right", said
