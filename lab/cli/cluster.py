# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab cluster` and `lab worker`: several machines that boot cells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import KeysOption

MachineOption = Annotated[
    str | None, typer.Option(help="What this machine is called; its host name by default.")
]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Several machines that boot cells together.", no_args_is_help=True)
    group.command()(keys)
    group.command()(start)
    app.add_typer(group, name="cluster")
    app.command()(worker)


def keys(
    folder: Annotated[Path, typer.Argument(help="A new folder for them.")] = Path("cluster-keys"),
) -> None:
    """Make the certificates of a cluster: its authority, and one for each role."""
    from lab.cluster import command

    command.make(folder, typer.echo)


def start(
    listen: Annotated[
        str, typer.Option(help="Where the scheduler listens.")
    ] = "tcp://127.0.0.1:8786",
    workers: Annotated[int, typer.Option(min=0, help="Workers on this machine.")] = 1,
    cores: Annotated[
        int | None, typer.Option(min=1, help="Boots at once, of each worker; all cores by default.")
    ] = None,
    machine: MachineOption = None,
    keys: KeysOption = None,
) -> None:
    """Run a scheduler, and workers on this machine, until Ctrl-C."""
    from lab.cluster import command

    command.start(listen, keys, workers, cores, machine, typer.echo)


def worker(
    address: Annotated[str, typer.Argument(help="Of the scheduler, tls://HOST:PORT.")],
    keys: KeysOption = None,
    machine: MachineOption = None,
    cores: Annotated[
        int | None, typer.Option(min=1, help="Boots at once; all cores by default.")
    ] = None,
    memory: Annotated[
        int | None, typer.Option(min=64, help="MiB for its boots; what is free by default.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of this worker, where it has several.")] = None,
) -> None:
    """Boot cells for a cluster on this machine, until Ctrl-C.

    It also ends when the scheduler is gone.
    """
    from lab.cluster import command

    command.work(address, keys, machine, cores, memory, name, typer.echo)
