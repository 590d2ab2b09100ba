# SPDX-License-Identifier: GPL-2.0-or-later
"""What a search prints at the end."""

from __future__ import annotations

from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.report.terminal import Terminal
from lab.search.course import RECORD, Outcome
from lab.search.halving import DEFAULT, Score, Settings
from lab.system.files import shorten

HEADINGS = ("settings", "boots", "windows", "hits", "hits/s", "hits/window")


def words(settings: Settings) -> str:
    """Settings as one writes them on a command line."""
    return " ".join(f"{key}={value}" for key, value in settings.items()) or "as they are"


def row(name: str, score: Score) -> tuple[str, ...]:
    """A line of the closing table."""
    return (
        name, str(score.boots), f"{score.windows:,}", f"{score.hits:,}",
        f"{score.per_second:.1f}", f"{score.per_window:.3f}",
    )  # fmt: skip


def show_outcome(found: Outcome, folder: RunFolder, terminal: Terminal) -> int:
    """The closing table; 0, or the code of VACUOUS when nothing corrupted."""
    tried: list[Settings] = folder.read(RECORD)["candidates"]
    order = sorted(found.scores, key=lambda one: -found.scores[one].value)
    terminal.say("")
    terminal.rows(HEADINGS, [row(words(tried[one]), found.scores[one]) for one in order])
    if not any(score.hits for score in found.scores.values()):
        terminal.say("\nnothing corrupted, so the search shows nothing")
        return Exit.VACUOUS
    terminal.say("")
    if found.winner == DEFAULT or found.comparison is None:
        terminal.say("no settings did better than those in use")
    else:
        terminal.say("the best of the rounds against those in use, boots in turn, new seeds:")
        both = [row(words(found.settings), found.best), row(words({}), found.default)]
        terminal.rows(HEADINGS, both)
        made = found.comparison
        terminal.say(
            f"\nahead in {made.wins} of {made.pairs} pairs; the chance of that by luck alone is "
            f"{made.chance:.3f}: {'better' if made.better else 'not shown to be better'}"
        )
    if found.better:
        terminal.say("for lab.yaml, under stress.settings:")
        for key, value in found.settings.items():
            terminal.say(f"    {key}: {value}")
    terminal.say(f"evidence  {shorten(folder.path)}")
    return 0
