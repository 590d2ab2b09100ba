# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab capsule`, `lab replay` and `lab trace`: failures that can be given to somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import DEFAULT, ConfigOption, ResultsOption

CapsuleArgument = Annotated[
    Path, typer.Argument(help="A capsule, or a run's folder that holds one.")
]

VmlinuxOption = Annotated[
    Path | None, typer.Option(help="The kernel's symbols, where the capsule holds none.")
]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(capsule)
    app.command()(replay)
    app.command()(trace)


def capsule(
    cell: Annotated[str, typer.Argument(help="A native or dom0 cell, by its id.")],
    config: ConfigOption = DEFAULT,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Seeds of the stress program.")] = 8,
    shifts: Annotated[str, typer.Option(help="icount shifts, in the order of trying.")] = "1,2,0,3",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; by default CELL.capsule here.")
    ] = None,
    results: ResultsOption = None,
) -> None:
    """Keep a failure as one file.

    Searches for a deterministic boot in which a cell corrupts.
    """
    from lab.config.load import load
    from lab.evidence.results import place_results
    from lab.replay import command as replaysession

    loaded = load(config)
    place = place_results(results, loaded.results)
    raise typer.Exit(replaysession.capsule(loaded, cell, seeds, _shifts(shifts), place, output))


def replay(
    path: CapsuleArgument,
    gdb: Annotated[bool, typer.Option("--gdb", help="Stop before the corruption, in gdb.")] = False,
    vmlinux: VmlinuxOption = None,
    xen_syms: Annotated[
        Path | None, typer.Option(help="Xen's symbols, if not in /usr/lib/debug/boot.")
    ] = None,
    stop: Annotated[
        str | None,
        typer.Option(help="Where --gdb stops: nm (the default), value, trap, alloc, sleep, read."),
    ] = None,
    gdb_command: Annotated[
        list[str] | None, typer.Option(help="Run this in gdb and end; may be given several times.")
    ] = None,
) -> None:
    """Run a capsule again.

    Exits 0 when its console is identical, 8 when it is not.
    """
    from lab.errors import UserError
    from lab.replay import command as replaysession

    if gdb:
        from lab.gdb import command as gdbsession

        asked = gdbsession.check_wanted(stop, vmlinux, xen_syms, gdb_command or [])
        raise typer.Exit(gdbsession.debug(path, asked))
    if stop or vmlinux or xen_syms or gdb_command:
        raise UserError("--stop, --vmlinux, --xen-syms and --gdb-command belong to --gdb")
    raise typer.Exit(replaysession.replay(path))


def trace(
    path: CapsuleArgument,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Name of the files, without .txt, .svg.")
    ] = None,
    vmlinux: VmlinuxOption = None,
) -> None:
    """Draw a failure's time diagram.

    Of a dom0 capsule, PV and native side by side.
    """
    from lab.trace import command as tracesession

    raise typer.Exit(tracesession.trace(path, output, vmlinux))


def _shifts(text: str) -> list[int]:
    from lab.config.model import MAX_SHIFT
    from lab.errors import UserError

    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and int(word) <= MAX_SHIFT for word in words):
        raise UserError(f"--shifts {text!r}: should be numbers from 0 to {MAX_SHIFT}, as in 1,2,0")
    return [int(word) for word in words]
