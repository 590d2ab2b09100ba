# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab search`: the stress program's settings that find a corruption soonest on a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import DEFAULT, ConfigOption, ResultsOption


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


def search(
    cell: Annotated[str | None, typer.Argument(help="A cell that corrupts, by its id.")] = None,
    config: ConfigOption = DEFAULT,
    candidates: Annotated[int, typer.Option(min=2, max=64, help="Settings to try.")] = 12,
    boots: Annotated[int, typer.Option(min=1, help="Boots of each in the first round.")] = 2,
    pairs: Annotated[int, typer.Option(min=1, help="Boots of winner and default at the end.")] = 8,
    seconds: Annotated[int, typer.Option(min=1, help="Guest seconds of each boot.")] = 6,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of candidates.")] = 1,
    resume: Annotated[
        Path | None, typer.Option(help="Resume an interrupted one, by its folder.")
    ] = None,
    results: ResultsOption = None,
) -> None:
    """Search the best stress settings.

    Those with the highest rate of corruption on a kernel.

    Exits 0 with settings that are better than those in use, or with these where none is;
    3 when nothing corrupted, so the search shows nothing.
    """
    from lab.config.load import load
    from lab.errors import UserError
    from lab.evidence.results import place_results
    from lab.search import command as searchsession
    from lab.search.course import Plan

    if resume is not None:
        raise typer.Exit(searchsession.resume(resume))
    if cell is None:
        raise UserError("lab search: name a cell, or give --resume and a search's folder")
    plan = Plan(cell, seed, candidates, boots, pairs, seconds)
    loaded = load(config)
    place = place_results(results, loaded.results)
    raise typer.Exit(searchsession.search(loaded, plan, place))
