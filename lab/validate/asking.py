# SPDX-License-Identifier: GPL-2.0-or-later
"""A patch to Xen: both Xens are asked directly as dom0, before minutes are spent on boots.

Where neither of them, or both, call a PV guest's #NM handler with TS clear, the stress program has
nothing to find out.
"""

from __future__ import annotations

import threading
from functools import partial

from lab.config.lab import LabConfig
from lab.evidence.manifest import make_manifest
from lab.evidence.run import RunFolder
from lab.probe.course import Asked, ask, gather
from lab.probe.folder import NAME, Evidence
from lab.probe.judge import Finding, Outcome
from lab.report.terminal import Terminal
from lab.trial.job import Job
from lab.validate import decision
from lab.validate.decision import Decision
from lab.validate.request import AFTER, BEFORE

Found = dict[str, Finding]


def ask_both(folder: RunFolder, config: LabConfig, terminal: Terminal, repeat: str) -> Found:
    """What the Xen without the patch and the one with it show; {} where the patch is not Xen's."""
    found = {}
    for name in (BEFORE, AFTER):
        if name in config.xens:
            found[name] = _ask(folder, config, name, terminal)
            terminal.say(f"Xen {name}: {found[name].outcome.value}: {found[name].reason}")
    if decide(found) is not None:
        # Nothing else will be booted: what `lab verify` reads is written here.
        folder.write("manifest.json", {**make_manifest({}, repeat), "probe": True})
    return found


def _ask(folder: RunFolder, config: LabConfig, name: str, terminal: Terminal) -> Finding:
    """Once; a validation that is resumed has the answer already."""
    asked = Asked(("dom0",), name, f"{NAME}/{name}")
    known = Evidence(folder.path / asked.under / "dom0")
    if known.whole:
        return known.judge()
    with terminal.progress():
        supplies = gather(config, asked, partial(_show, terminal, name))
        job = Job(config, supplies, folder, terminal.board, threading.Event())
        (finding,) = ask(job, asked, lambda _finding: None)
    return finding


def _show(terminal: Terminal, name: str, what: str, state: str) -> None:
    terminal.board.state(f"{what} {name}", state)


def decide(found: Found) -> Decision | None:
    """What the answers decide without any boot of a kernel; None where they do not: pure.

    Only two whole answers decide. A Xen that crashes with the probe is left to the kernels.
    """
    if BEFORE not in found or AFTER not in found:
        return None
    before, after = found[BEFORE].outcome, found[AFTER].outcome
    if before is Outcome.SET and after.abi is not None:
        return Decision(
            decision.Outcome.VACUOUS,
            "TS is set in #NM without the patch already: that Xen does not expose the bug",
        )
    if before is Outcome.CLEAR and after is Outcome.CLEAR:
        return Decision(
            decision.Outcome.DOES_NOT_FIX,
            "TS is clear in #NM with the patch too, also after a halt and another vCPU",
        )
    return None


def describe(found: Found) -> dict[str, str]:
    """For the page's facts."""
    return {f"{name} Xen, asked directly": one.reason for name, one in found.items()}
