# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab board`: machines with power, a serial console and a way to boot."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.options import DEFAULT, ConfigOption

NameArgument = Annotated[str, typer.Argument(help="A name under boards of lab.yaml.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Boards: machines with power, a serial console and a way to boot.",
        no_args_is_help=True,
    )
    group.command("list")(list_boards)
    for command in (status, on, off, console, check):
        group.command()(command)
    app.add_typer(group, name="board")


def list_boards(config: ConfigOption = DEFAULT) -> None:
    """Say which boards there are, their last check, and who has them; asks none of them."""
    from lab.board import command
    from lab.config.load import load

    raise typer.Exit(command.list_boards(load(config), typer.echo))


def status(name: NameArgument, config: ConfigOption = DEFAULT) -> None:
    """Say whether a board is on, and who has it."""
    from lab.board import command
    from lab.config.load import load

    raise typer.Exit(command.status(load(config), name, typer.echo))


def on(name: NameArgument, config: ConfigOption = DEFAULT) -> None:
    """Switch a board on and leave it on."""
    from lab.board import command
    from lab.config.load import load

    raise typer.Exit(command.switch_on(load(config), name, typer.echo))


def off(name: NameArgument, config: ConfigOption = DEFAULT) -> None:
    """Switch a board off, also one that a killed lab left on."""
    from lab.board import command
    from lab.config.load import load

    raise typer.Exit(command.switch_off(load(config), name, typer.echo))


def console(name: NameArgument, config: ConfigOption = DEFAULT) -> None:
    """Show what a board's serial port says, until Ctrl-C; escape sequences are taken out."""
    from lab.board import command
    from lab.config.load import load

    def write(text: str) -> None:
        typer.echo(text, nl=False)

    raise typer.Exit(command.show_console(load(config), name, write))


def check(
    name: NameArgument,
    config: ConfigOption = DEFAULT,
    quick: Annotated[
        bool, typer.Option("--quick", help="Without the control kernel's boots, native and dom0.")
    ] = False,
) -> None:
    """Prove each part of a board; one that fails is not used by runs until it passes."""
    from lab.config.load import load
    from lab.health import command

    raise typer.Exit(command.check(load(config), name, quick, typer.echo))
