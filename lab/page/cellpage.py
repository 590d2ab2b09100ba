# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of one cell over all nights: rate, hits of each boot, seconds, results, inputs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from lab import __version__
from lab.history.result import Result
from lab.page.columns import Column, arrange, choose, night_of, place
from lab.page.news import News
from lab.page.place import INDEX, link_run
from lab.page.plot import Interval, Mark, draw_dots, draw_intervals
from lab.page.rate import Rate, measure
from lab.page.render import render
from lab.page.scale import say
from lab.page.strip import draw, find_stretches
from lab.page.tone import GOOD, find_tone, name_verdict
from lab.system.clock import now

_BOOTS = 14  # columns whose boots are drawn one by one
_RESULTS = 14  # lines of the table, and as many of what was not as expected before


def render_cell(
    cell: str,
    results: Sequence[Result],
    news: Sequence[News],
    folders: set[str],
) -> str:
    """``results``: of this cell, in the order of time. ``folders``: of the runs that have a
    page.
    """
    columns = arrange(results)
    places = place(columns)
    groups: list[list[Result]] = [[] for _ in columns]
    for result in results:
        groups[places[night_of(result)]].append(result)
    last = results[-1]
    shown = [choose(group) for group in groups]
    rates = [measure(group) for group in groups]
    labels = _label(columns)
    changes = [places[night_of(item.since)] - 0.5 for item in news if item.is_of_the_rate]
    series = _mark_series(shown)
    lines = [*series, *(Mark(at, "change") for at in changes)]
    stretches = find_stretches(list(enumerate(shown)))
    return render(
        "cell.html",
        title=cell,
        trail=[("All runs", INDEX), (cell, "")],
        version=__version__, written=now(),
        word=name_verdict(last.verdict), tone=find_tone(last.verdict, last.as_expected),
        reason=last.reason,
        facts=_list_facts(last, results),
        rate=_draw_rate(cell, rates, shown, lines, labels),
        rate_rows=[_show_rate(*three) for three in zip(columns, rates, shown, strict=True)],
        boots=_draw_boots(cell, groups, labels),
        boot_rows=_show_boots(columns, groups),
        seconds=_draw_seconds(cell, groups, series, labels),
        seconds_rows=[(c.says, f"{_mean(g):.1f}") for c, g in zip(columns, groups, strict=True)],
        strip=draw(f"Inputs of {cell}", stretches, len(columns) - 1) if stretches else "",
        strip_rows=[
            (s.name, columns[s.begin].day, columns[s.end].day, s.text) for s in stretches
        ],
        news=[_show_news(item) for item in list(news)[::-1][:_RESULTS]],
        results=[_show_result(result, folders) for result in _pick(results)],
        total=len(results),
    )  # fmt: skip


def _label(columns: Sequence[Column]) -> list[tuple[int, str]]:
    step = max(1, len(columns) // 7)
    return [(number, columns[number].label) for number in range(0, len(columns), step)]


def _mark_series(shown: Sequence[Result]) -> list[Mark]:
    """Where an input is known to have changed, so that a new series begins."""
    pairs = enumerate(pairwise(shown))
    return [Mark(at + 0.5, "series") for at, (a, b) in pairs if a.inputs != b.inputs]


def _list_facts(last: Result, results: Sequence[Result]) -> list[tuple[str, str]]:
    rate = measure([last])
    found = [
        ("last result", last.began), ("expected", last.expected or "clean"),
        ("host", last.host), ("measured by", last.control or ""), ("known as", last.known or ""),
        ("rate", _say_rate(rate)), ("results", f"{len(results):,}"),
        ("not as expected", f"{len(_list_wrong(results)):,}"),
    ]  # fmt: skip
    return [(name, text) for name, text in found if text]


def _say_rate(rate: Rate | None) -> str:
    if rate is None:
        return ""
    if not rate.hits:
        return f"below {say(rate.high)} of windows at 95 %"
    return f"{say(rate.value)} of windows, {say(rate.low)} to {say(rate.high)} at 95 %"


def _draw_rate(
    cell: str, rates: Sequence[Rate | None], shown: Sequence[Result], marks: Sequence[Mark],
    labels: Sequence[tuple[int, str]],
) -> str:  # fmt: skip
    points = [
        Interval(
            at, rate.value if rate.hits else None, rate.low, rate.high,
            find_tone(result.verdict, result.as_expected),
        )
        for at, (rate, result) in enumerate(zip(rates, shown, strict=True))
        if rate is not None
    ]  # fmt: skip
    return draw_intervals(f"Hits per window of {cell}", points, marks, labels) if points else ""


def _show_rate(column: Column, rate: Rate | None, result: Result) -> tuple[str, ...]:
    word = name_verdict(result.verdict)
    if rate is None:
        return (column.says, word, "-", "-", "-", "-", "-")
    return (
        column.says, word, say(rate.value), say(rate.low), say(rate.high), f"{rate.hits:,}",
        f"{rate.windows:,}",
    )  # fmt: skip


def _draw_boots(
    cell: str, groups: Sequence[Sequence[Result]], labels: Sequence[tuple[int, str]]
) -> str:
    first = max(0, len(groups) - _BOOTS)
    dots = [
        (at, float(hits))
        for at, group in enumerate(groups)
        if at >= first
        for result in group
        for _, hits in result.boots
    ]
    if not any(hits for _, hits in dots):
        return ""
    kept = [(at, text) for at, text in labels if at >= first]
    return draw_dots(f"Hits of each boot of {cell}", dots, kept, first, len(groups) - 1)


def _show_boots(
    columns: Sequence[Column], groups: Sequence[Sequence[Result]]
) -> list[tuple[str, str]]:
    both = list(zip(columns, groups, strict=True))[-_BOOTS:]
    return [
        (c.says, ", ".join(f"{h}/{w}" for r in group for w, h in r.boots) or "-")
        for c, group in both
    ]


def _draw_seconds(
    cell: str, groups: Sequence[Sequence[Result]], marks: Sequence[Mark],
    labels: Sequence[tuple[int, str]],
) -> str:  # fmt: skip
    points = [
        Interval(at, mean, mean, mean, GOOD)
        for at, group in enumerate(groups)
        if (mean := _mean(group)) > 0
    ]
    return draw_intervals(f"Seconds of {cell}", points, marks, labels, 140) if points else ""


def _mean(group: Sequence[Result]) -> float:
    known = [result.seconds for result in group if result.seconds]
    return sum(known) / len(known) if known else 0.0


def _show_news(item: News) -> dict[str, Any]:
    return {"day": item.since.began[:10], "says": item.says, "inputs": item.inputs}


def _pick(results: Sequence[Result]) -> list[Result]:
    """The newest, and of those before only what was not as expected; the newest first."""
    newest, older = results[-_RESULTS:], results[:-_RESULTS]
    return [*_list_wrong(older)[-_RESULTS:], *newest][::-1]


def _list_wrong(results: Sequence[Result]) -> list[Result]:
    return [r for r in results if r.verdict is not None and not r.as_expected]


def _show_result(result: Result, folders: set[str]) -> dict[str, Any]:
    there = result.folder in folders
    return {
        "began": result.began, "word": name_verdict(result.verdict),
        "tone": find_tone(result.verdict, result.as_expected),
        "windows": result.windows, "hits": result.hits, "boots": len(result.boots),
        "seconds": f"{result.seconds:.0f}", "night": result.night or "-", "run": result.run,
        "link": f"{link_run(result.folder)}#{result.cell}" if there else "",
        "reason": "" if result.as_expected else result.reason,
    }  # fmt: skip
