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
    for command in (status, install, uninstall):
        group.command()(command)
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


def status(config: ConfigOption = DEFAULT, results: ResultsOption = None) -> None:
    """Print the last night on one screen, or how far tonight is; exits as the night did."""
    from lab.config.load import load
    from lab.evidence.results import find_results
    from lab.nightly import command

    raise typer.Exit(command.show(find_results(results, load(config).results)))


UserOption = Annotated[
    bool, typer.Option("--user", help="For you alone, by your own systemd; needs no root.")
]


def install(
    at: Annotated[
        str, typer.Option("--at", help="When to begin, as systemd.time(7) has it.")
    ] = "*-*-* 02:00",
    user: UserOption = False,
    config: ConfigOption = DEFAULT,
    results: ResultsOption = None,
) -> None:
    """Write a systemd timer that calls `lab nightly`, and start it."""
    from lab.config.load import load
    from lab.evidence.results import place_results
    from lab.nightly import install as module
    from lab.nightly.jobs import resolve_jobs

    loaded = load(config)
    resolve_jobs(loaded, config)  # a timer for nothing is a mistake that nobody would see
    place = place_results(results, loaded.results)
    module.install(module.make_installation(config, place, at, user), typer.echo)


def uninstall(user: UserOption = False) -> None:
    """Stop the timer and remove it; results stay."""
    from lab.nightly import install as module

    module.uninstall(user, typer.echo)
