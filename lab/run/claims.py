# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan's claims: the page beside the run's evidence, and a line for each on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from lab.config.lab import LabConfig
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.report.claims import write_page
from lab.report.terminal import Terminal
from lab.system.files import shorten
from lab.verdict.cell import CellVerdict
from lab.verdict.claims import FAILS, decide

FILE = "claims.txt"


def conclude(
    config: LabConfig,
    cells: Sequence[CellVerdict],
    facts: dict[str, str],
    repeat: str,
    folder: RunFolder,
    terminal: Terminal,
) -> int:
    """Write claims.txt and print a line for each claim; returns their exit code."""
    if not config.claims:
        return Exit.OK
    outcomes = [decide(name, claim, cells) for name, claim in config.claims.items()]
    width = max(len(name) for name in config.claims)
    folder.write_text(FILE, write_page("The claims, tried", facts, outcomes, repeat))
    terminal.say("")
    for outcome in outcomes:
        terminal.say(f"{outcome.verdict:<13}  {outcome.name:<{width}}  {outcome.claim.says}")
    terminal.say(f"the page  {shorten(folder.path)}/{FILE}")
    failed = any(outcome.verdict == FAILS for outcome in outcomes)
    return Exit.CLAIM_FAILS if failed else Exit.OK
