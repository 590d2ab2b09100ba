# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab validate`: a patch, tried."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import DEFAULT, ConfigOption, ResultsOption, repeat


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(validate)


def validate(
    tree: Annotated[
        str | None, typer.Option(help="A kernel source tree: a folder or a git URL.")
    ] = None,
    rev: Annotated[
        str | None, typer.Option(help="Its git revision; by default the tree as it is.")
    ] = None,
    patch: Annotated[
        Path | None, typer.Option(help="A diff, series, mbox, or mail with a diff in its text.")
    ] = None,
    fuzz: Annotated[
        int, typer.Option(min=0, max=3, help="Context lines that may differ, at a hunk's ends.")
    ] = 0,
    loose: Annotated[
        bool, typer.Option("--ignore-whitespace", help="Fit the patch whatever its white space.")
    ] = False,
    cell: Annotated[
        list[str] | None,
        typer.Option(help="KIND, KIND~VARIATION, with @HOST, repeated; all kinds by default."),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="A host to boot on, by name; may be given more than once."),
    ] = None,
    xen: Annotated[
        str | None,
        typer.Option(help="For a patch to Xen: a Debian source package (xen) or a Xen tree."),
    ] = None,
    kernel: Annotated[
        list[str] | None,
        typer.Option(help="With --xen: kernels by name, repeated, the affected one first."),
    ] = None,
    unpatched: Annotated[
        Path | None, typer.Option(help="Instead of tree and patch: the kernel without it ...")
    ] = None,
    patched: Annotated[Path | None, typer.Option(help="... and the kernel with it.")] = None,
    config: ConfigOption = DEFAULT,
    resume: Annotated[
        Path | None, typer.Option(help="Resume an interrupted one, by its folder.")
    ] = None,
    results: ResultsOption = None,
) -> None:
    """Does a patch fix it and break nothing else?

    Exits 0 FIXES, 3 VACUOUS, 4 LAB_ERROR, 6 DOES NOT FIX, 9 BREAKS.
    """
    from lab.config.load import load
    from lab.errors import UserError
    from lab.evidence.results import place_results
    from lab.validate import command as module
    from lab.validate import request as validateplan

    if resume is not None:
        raise typer.Exit(module.resume(resume))
    given = [tree is not None, xen is not None, unpatched is not None]
    if (
        sum(given) != 1
        or (patch is None) == (unpatched is None)
        or ((unpatched is None) != (patched is None))
    ):
        raise UserError(
            "give --tree and --patch, or --xen, --patch and --kernel, or --unpatched and --patched"
        )
    request = validateplan.Request(
        tree=tree, rev=rev, patch=patch, fuzz=fuzz, loose=loose,
        images=(unpatched, patched) if unpatched and patched else None,
        xen=xen, kernels=tuple(kernel or ()), kinds=tuple(cell or ()), hosts=tuple(host or ()),
    )  # fmt: skip
    loaded = load(config)
    place = place_results(results, loaded.results)
    raise typer.Exit(module.validate(loaded, config, request, place, repeat()))
