"""The page of a plan's claims: written beside the run's evidence, and its end said."""

from __future__ import annotations

from collections.abc import Sequence

from lab.config.lab import LabConfig
from lab.evidence.run import RunFolder
from lab.report.claims import write_page
from lab.report.terminal import Terminal
from lab.system.files import short
from lab.verdict.cell import CellVerdict
from lab.verdict.claims import FAILS, decide

EXIT_FAILS = 7  # a claim does not hold, although every cell was as it should be
FILE = "claims.txt"


def conclude(
    config: LabConfig,
    cells: Sequence[CellVerdict],
    facts: dict[str, str],
    repeat: str,
    folder: RunFolder,
    terminal: Terminal,
) -> int:
    """Write claims.txt and print a line for each claim; 0, or EXIT_FAILS."""
    if not config.claims:
        return 0
    outcomes = [decide(name, claim, cells) for name, claim in config.claims.items()]
    width = max(len(name) for name in config.claims)
    folder.write_text(FILE, write_page("The claims, tried", facts, outcomes, repeat))
    terminal.say("")
    for outcome in outcomes:
        terminal.say(f"{outcome.verdict:<13}  {outcome.name:<{width}}  {outcome.claim.says}")
    terminal.say(f"the page  {short(folder.path)}/{FILE}")
    return EXIT_FAILS if any(outcome.verdict == FAILS for outcome in outcomes) else 0
