# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab nightly`: one night, and the timer that calls it."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.options import DEFAULT, ConfigOption, ResultsOption, repeat

JobOption = Annotated[
    list[str] | None, typer.Option("--job", help="Only this job; may be given more than once.")
]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Do one night and end: the jobs under nightly of lab.yaml.")
    group.callback(invoke_without_command=True)(nightly)
    app.add_typer(group, name="nightly")


def nightly(
    context: typer.Context,
    job: JobOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run, and how long; run nothing.")
    ] = False,
    config: ConfigOption = DEFAULT,
    results: ResultsOption = None,
) -> None:
    """Do one night and end: the jobs under nightly of lab.yaml.

    An unfinished night of today is continued.
    """
    if context.invoked_subcommand is not None:
        return
    from lab.config.load import load
    from lab.evidence.results import find_results, place_results
    from lab.nightly import command

    loaded = load(config)
    if dry_run:
        command.describe(loaded, config, find_results(results, loaded.results), job or [])
        return
    place = place_results(results, loaded.results)
    raise typer.Exit(command.run(loaded, config, place, job or [], repeat()))
