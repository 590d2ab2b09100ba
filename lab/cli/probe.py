# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab probe`: Xen asked directly."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.options import DEFAULT, ConfigOption, ResultsOption, repeat


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(probe)


def probe(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KIND]...", help="native and dom0 by default; pv and pvh too."),
    ] = None,
    xen: Annotated[str | None, typer.Option(help="A hypervisor by its name under 'xens:'.")] = None,
    args: Annotated[
        str, typer.Option(help="More words for Xen's command line, such as spec-ctrl=eager-fpu.")
    ] = "",
    expect: Annotated[
        str | None, typer.Option(help="clear or set: what dom0 and pv must see; else exit code 7.")
    ] = None,
    config: ConfigOption = DEFAULT,
    results: ResultsOption = None,
) -> None:
    """Is CR0.TS clear or set when Xen calls a PV guest's #NM handler?

    Asked by a tiny guest of the lab's own, in seconds. Exits 0 when every guest answered.
    """
    from lab.config.load import load
    from lab.evidence.results import place_results
    from lab.probe import command
    from lab.probe.course import Asked

    asked = Asked(command.read_kinds(kinds or []), xen or "")
    expected = command.read_expectation(expect)
    loaded = load(config)
    place = place_results(results, loaded.results)
    raise typer.Exit(command.probe(loaded, config, asked, args, expected, place, repeat()))
