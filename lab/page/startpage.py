# SPDX-License-Identifier: GPL-2.0-or-later
"""The page over all runs: the last night in one sentence, cells by nights, changes, health. Pure,
but for what a night's own record says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import __version__
from lab.history.result import Result, Run
from lab.page.columns import Column, arrange, choose, night_of, place
from lab.page.followed import list_followed
from lab.page.news import News
from lab.page.place import link_cell, link_run
from lab.page.render import render
from lab.page.tone import BAD, GOOD, NONE, WARN, find_sign, find_tone, name_verdict
from lab.system.clock import now
from lab.verdict.severity import Verdict

_NEWS, _RUNS = 20, 14  # lines of each, at most
_RECENT = 28  # columns in which the lab's own faults are counted


@dataclass(frozen=True)
class Health:
    """A line about the lab itself."""

    name: str
    tone: str
    word: str
    says: str


def render_start(
    results: Sequence[Result],
    runs: Sequence[Run],
    news: Sequence[News],
    folder: Path,
    linked: set[str],
) -> str:
    """``results``, ``runs``: all of them, in the order of time. ``folder``: of the results.
    ``linked``: the folders of runs that have a page.
    """
    columns = arrange(results)
    last = [r for r in results if columns and night_of(r) in columns[-1].nights]
    record = _read_night(folder, columns)
    cells = list(dict.fromkeys(result.cell for result in results))
    return render(
        "start.html",
        title="What the lab has seen",
        trail=[("All runs", "")],
        version=__version__, written=now(),
        says=_say(columns, last, record), tone=_find_tone(last, record),
        columns=columns,
        rows=[_make_row(cell, results, columns, linked) for cell in cells],
        news=[_show_news(item, linked) for item in list(news)[::-1][:_NEWS]],
        followed=list_followed(record, set(cells), linked),
        health=_list_health(results, columns, last, record),
        runs=[_show_run(run, results, linked) for run in list(runs)[::-1][:_RUNS]],
        more=max(0, len(runs) - _RUNS),
    )  # fmt: skip


def _read_night(folder: Path, columns: Sequence[Column]) -> dict[str, Any]:
    """What `lab nightly` wrote about the last night; empty where it was not one of its."""
    if not columns:
        return {}
    try:
        content = json.loads(
            (folder / "nights" / columns[-1].nights[-1] / "night.json").read_text()
        )
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _say(columns: Sequence[Column], last: Sequence[Result], record: dict[str, Any]) -> str:
    if not columns:
        return "There are no runs yet."
    night = columns[-1].nights[-1]
    what = "Night" if last and last[-1].night else "Run"
    said = str(record.get("sentence") or "") or say_results(last)
    return f"{what} {night}: {said}"


def say_results(last: Sequence[Result]) -> str:
    """Results in one sentence, without its full stop."""
    wrong = [r for r in last if r.verdict is not None and not r.as_expected]
    many = "1 cell" if len(last) == 1 else f"{len(last)} cells"
    if not wrong:
        return f"{many}, all as expected"
    named = [f"{r.cell} {name_verdict(r.verdict)}" for r in wrong[:4]]
    more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
    return f"{len(wrong)} of {many} not as expected: {', '.join(named)}{more}"


def _find_tone(last: Sequence[Result], record: dict[str, Any]) -> str:
    tones = [find_tone(result.verdict, result.as_expected) for result in last]
    if record and record.get("exit_code") not in (None, 0) and BAD not in tones:
        return WARN
    return next((tone for tone in (BAD, WARN, GOOD) if tone in tones), NONE)


def _make_row(
    cell: str, results: Sequence[Result], columns: Sequence[Column], linked: set[str]
) -> dict[str, Any]:
    places = place(columns)
    found: dict[int, list[Result]] = {}
    for result in results:
        if result.cell == cell:
            found.setdefault(places[night_of(result)], []).append(result)
    marks = [_mark(found.get(number), linked, number == len(columns) - 1)
             for number in range(len(columns))]  # fmt: skip
    return {"cell": cell, "link": link_cell(cell), "marks": marks}


def _mark(found: list[Result] | None, linked: set[str], newest: bool) -> dict[str, str]:
    """Only what somebody may want to follow is a link: a page of links alone is hard to use."""
    if not found:
        return {}
    shown = choose(found)
    tone = find_tone(shown.verdict, shown.as_expected)
    follow = (newest or tone in (BAD, WARN)) and shown.folder in linked
    return {
        "sign": find_sign(shown.verdict), "tone": tone,
        "link": f"{link_run(shown.folder)}#{shown.cell}" if follow else "",
        "says": name_verdict(shown.verdict) + (", not as expected" if tone in (BAD, WARN) else ""),
    }  # fmt: skip


def _show_news(item: News, linked: set[str]) -> dict[str, Any]:
    result = item.since
    return {
        "day": result.began[:10], "cell": result.cell, "cell_link": link_cell(result.cell),
        "says": item.says, "inputs": item.inputs, "known": result.known,
        "tone": find_tone(result.verdict, result.as_expected),
        "link": f"{link_run(result.folder)}#{result.cell}" if result.folder in linked else "",
    }  # fmt: skip


def _list_health(
    results: Sequence[Result],
    columns: Sequence[Column],
    last: Sequence[Result],
    record: dict[str, Any],
) -> list[Health]:
    found = [_show_control(result) for result in last if result.expected == "corrupts"]
    if last and not found:
        found.append(Health("control", WARN, "no control", "the last night had none"))
    pool = record.get("out_of_pool")
    for board, why in pool.items() if isinstance(pool, dict) else ():
        found.append(Health(f"board {board}", BAD, "out of the pool", str(why)))
    recent = {night for column in columns[-_RECENT:] for night in column.nights}
    counted = [r for r in results if night_of(r) in recent and r.verdict is not None]
    faults = sum(result.verdict is Verdict.LAB_ERROR for result in counted)
    if counted:
        many = min(_RECENT, len(columns))
        when = "the last night" if many == 1 else f"the last {many} nights"
        share = f"{faults} of {len(counted)} results in {when}"
        found.append(Health("faults of the lab", WARN if faults else GOOD, str(faults), share))
    return found


def _show_control(result: Result) -> Health:
    sees = result.verdict is Verdict.CORRUPTS
    share = f"{result.hits:,} of {result.windows:,} windows hit" if result.windows else ""
    return Health(
        result.cell, GOOD if sees else BAD, "sees" if sees else "blind",
        share if sees else f"{name_verdict(result.verdict)}: {result.reason}",
    )  # fmt: skip


def _show_run(run: Run, results: Sequence[Result], linked: set[str]) -> dict[str, str]:
    own = [result for result in results if result.run == run.id]
    said = say_results(own) if own else "no cells"
    return {
        "id": run.id, "began": run.began, "command": run.command[:120],
        "says": said if run.ended else f"{said}; not ended",
        "link": link_run(run.folder) if run.folder in linked and own else "",
        "removed": "evidence removed" if run.removed else "",
    }  # fmt: skip
