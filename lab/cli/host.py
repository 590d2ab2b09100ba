# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab host`: the nested Xen host without a run."""

from __future__ import annotations

import typer

from lab.cli.options import DEFAULT, ConfigOption


def add(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The nested Xen host without a run.", no_args_is_help=True)
    for command in (start, stop, status):
        group.command()(command)
    app.add_typer(group, name="host")


def start(config: ConfigOption = DEFAULT) -> None:
    """Boot the nested Xen host and leave it running; runs will use it."""
    from lab.config.load import load
    from lab.run import host

    host.start(load(config))


def stop(config: ConfigOption = DEFAULT) -> None:
    """Stop the nested Xen host, also one that a killed controller left."""
    from lab.config.load import load
    from lab.run import host

    host.stop(load(config))


def status(config: ConfigOption = DEFAULT) -> None:
    """Say whether the host runs and answers."""
    from lab.config.load import load
    from lab.run import host

    raise typer.Exit(host.status(load(config)))
