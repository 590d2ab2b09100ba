# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of one trial: what it showed, the first corruption, its console."""

from __future__ import annotations

import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lab import __version__
from lab.evidence.run import RunFolder
from lab.evidence.trial import TrialFolder
from lab.page.corruption import explain, explain_owner
from lab.page.curves import read_points, take_hits, take_windows
from lab.page.excerpt import read
from lab.page.place import INDEX, link_trial, name_trial
from lab.page.plot import draw_lines
from lab.page.render import render
from lab.page.tone import BAD, GOOD, NONE, WARN
from lab.system.clock import now
from lab.verdict.cell import CellVerdict

_TONES = {"CLEAN": GOOD, "CORRUPTS": BAD, "CRASHED": BAD, "LAB_ERROR": WARN, "VACUOUS": WARN}
CAPSULE = "replay.capsule"
# Options of `lab run` that take a word; what stands alone is a cell.
_VALUED = {
    "-c", "--config", "--trials", "--seconds", "--plan", "--kernel", "--results", "--host",
}  # fmt: skip
_KEPT = 60_000  # characters of a diagram as text


def write_trial(
    run: RunFolder, outcome: CellVerdict, trial: TrialFolder, numbers: list[int]
) -> tuple[str, str]:
    """Name and text of the page. ``numbers``: of all trials of the cell."""
    cell, number = outcome.cell.id, trial.number
    stored = trial.verdict() or {}
    example = {key: str(value) for key, value in stored.get("example", {}).items()}
    points = read_points(trial.path)
    word = str(stored.get("verdict", "interrupted"))
    below = f"../cells/{quote(cell)}/{number}"
    console = read(trial.console)
    text = render(
        "trial.html",
        title=f"{cell}, boot {number}",
        trail=[(f"Run {run.path.name}", INDEX), (f"{cell}, boot {number}", "")],
        version=__version__, written=now(),
        number=number, word=word, tone=_TONES.get(word, NONE),
        reason=stored.get("reason", "it was interrupted before its verdict"),
        before=_link(cell, number - 1, numbers), after=_link(cell, number + 1, numbers),
        facts=_list_facts(stored, trial),
        corruption=explain(example) if example else "",
        example={"want": example.get("want", "?"), "got": example.get("got", "?")},
        owner=explain_owner(example.get("owner", "")),
        example_rows=list(example.items()),
        in_console=any(line.kind == "corrupt" for part in console.parts for line in part.lines),
        trace=_find_trace(run.path, cell, number),
        notes=stored.get("notes", []),
        windows=points and draw_lines("Windows", [take_windows(points)], "windows", "seconds"),
        hits=_draw_hits(points),
        rows=[(f"{p.seconds:.1f}", f"{p.windows:,}", f"{p.hits:,}") for p in points],
        env=list(stored.get("env", {}).items()),
        console=console, raw=f"{below}/console.log",
        command=say_again(str(run.manifest().get("command", "")), cell),
        hint=_say_hint(run, trial, cell),
        files=_list_files(trial, below),
    )  # fmt: skip
    return name_trial(cell, number), text


def _link(cell: str, number: int, numbers: list[int]) -> str:
    return link_trial(cell, number) if number in numbers else ""


def _draw_hits(points: list[Any]) -> str:
    if not any(point.hits for point in points):
        return ""
    return draw_lines("Hits", [take_hits(points)], "hits", "seconds")


def _list_facts(stored: dict[str, Any], trial: TrialFolder) -> list[tuple[str, str]]:
    found = [
        (name, f"{stored[key]:,}")
        for name, key in (
            ("windows", "windows"), ("hits", "hits"), ("checks", "checks"),
            ("failed checks", "corruptions"),
        )
        if key in stored
    ]  # fmt: skip
    ending = trial.ending()
    if ending is not None:
        found.append(("ended", f"{ending.how} {ending.detail}".strip()))
        found.append(("seconds", f"{ending.seconds:.1f}"))
        if ending.boot_seconds is not None:
            found.append(("to the first record", f"{ending.boot_seconds:.1f} s"))
    facts = trial.facts()
    found += [("kernel", facts.kernel), ("guest kind", facts.guest), ("nonce", facts.nonce)]
    where = [("board", facts.board), ("machine", facts.machine)]
    return found + [(what, name) for what, name in where if name]


def _find_trace(run: Path, cell: str, number: int) -> dict[str, str]:
    """The diagram that `lab trace` was asked to draw beside the pages, if there is one."""
    name = f"{cell}.{number}.trace"
    page = run / "page"
    if not (page / f"{name}.svg").is_file():
        return {}
    try:
        text = (page / f"{name}.txt").read_text()[:_KEPT]
    except (OSError, ValueError):
        text = ""
    return {"image": quote(f"{name}.svg"), "text": text}


def say_again(command: str, cell: str) -> str:
    """The command that runs one cell as a run of several did: pure. ``command``: the run's."""
    kept: list[str] = []
    words = shlex.split(command)
    for before, word in pairwise(words if words[:2] == ["lab", "run"] else []):
        if word.startswith("-") or before in _VALUED:
            kept.append(word)
    return shlex.join(["lab", "run", cell, *kept])


def _say_hint(run: RunFolder, trial: TrialFolder, cell: str) -> str:
    """What could be made of a boot that was kept to be replayed."""
    if not (trial.path / CAPSULE).is_file():
        return ""
    path = f"{run.path.name}/cells/{cell}/{trial.number}"
    drawn = f"{run.path.name}/page/{cell}.{trial.number}.trace"
    return (
        f"This very boot: lab replay {path}. Its time diagram comes into this page by "
        f"lab trace {path} --output {drawn}, then lab page {run.path.name}."
    )


def _list_files(trial: TrialFolder, below: str) -> list[tuple[str, str]]:
    names = sorted(p.name for p in trial.path.iterdir() if p.is_file() and p.name[0] != ".")
    return [(name, f"{below}/{quote(name)}") for name in names]
