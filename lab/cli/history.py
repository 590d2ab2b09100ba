# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab history` and its commands, and `lab export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from lab.cli.options import DEFAULT, ConfigOption, RunArgument

if TYPE_CHECKING:
    from lab.config.lab import LabConfig

FolderOption = Annotated[
    Path | None, typer.Option("--results", help="Where the runs' folders are.")
]
_SHOW = "show"


class _CellsGroup(TyperGroup):
    """`lab history CELL` is `lab history show CELL`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


def add(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        cls=_CellsGroup,
        help="What all runs showed: of each cell, or `lab history CELL` of one.",
    )
    for command in (show, rebuild, diff, since_good, tidy):
        group.command(command.__name__.replace("_", "-"))(command)
    app.add_typer(group, name="history")
    app.command()(export)


def show(
    cell: Annotated[str | None, typer.Argument(help="A cell by id, or cells by a glob.")] = None,
    config: ConfigOption = DEFAULT,
    results: FolderOption = None,
) -> None:
    """Print each cell's last results, or all results of one cell and what changed."""
    from lab.history import command

    raise typer.Exit(command.show(_find_results(config, results), cell))


def rebuild(config: ConfigOption = DEFAULT, results: FolderOption = None) -> None:
    """Make the index anew from the runs' folders."""
    from lab.history import command

    raise typer.Exit(command.rebuild(_find_results(config, results)))


def diff(
    before: Annotated[str, typer.Argument(help="A night or a run, by id.")],
    after: Annotated[str, typer.Argument(help="Another one.")],
    config: ConfigOption = DEFAULT,
    results: FolderOption = None,
) -> None:
    """Compare two nights, or two runs, cell by cell."""
    from lab.history import command

    raise typer.Exit(command.diff(_find_results(config, results), before, after))


def since_good(
    cell: Annotated[str, typer.Argument(help="A cell by id.")],
    config: ConfigOption = DEFAULT,
    results: FolderOption = None,
) -> None:
    """Name a cell's last good result, the first bad one after it, and the inputs that changed."""
    from lab.history import command

    raise typer.Exit(command.since_good(_find_results(config, results), cell))


def tidy(
    config: ConfigOption = DEFAULT,
    results: FolderOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")
    ] = False,
) -> None:
    """Remove old evidence, as keep: of lab.yaml says; verdicts stay in the history."""
    from lab.history import command

    keep = _load(config).keep
    raise typer.Exit(command.tidy_up(_find_results(config, results), keep, dry_run))


def export(
    folder: RunArgument,
    key: Annotated[
        Path | None, typer.Option(help="A private ssh key to sign with, by ssh-keygen.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The archive; by default RUN.zip here.")
    ] = None,
) -> None:
    """Make one archive of a run, with all hashes, signed if a key is given."""
    from lab.run import handover

    raise typer.Exit(handover.export_run(folder, key, output))


def _load(config: Path) -> LabConfig:
    from lab.config.load import load

    return load(config)


def _find_results(config: Path, option: Path | None) -> Path:
    """Runs can be looked at where there is no configuration."""
    from lab.evidence.results import find_results

    configured = _load(config).results if config != DEFAULT or config.exists() else None
    return find_results(option, configured)
