# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab bisect` and `lab bisect-step`: which commit brought it in, which one fixed it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.options import DEFAULT, ConfigOption, KeepHostOption, ResultsOption, repeat
from lab.errors import UserError
from lab.exitcodes import GIT_ABORT, GIT_SKIP

STEP = "bisect-step"
CellOption = Annotated[
    str, typer.Option("--cell", help="Guest kind, or KIND~VARIATION, or either with @HOST.")
]
HostOption = Annotated[str | None, typer.Option(help="A host to boot on, by name, as @HOST.")]
ArgsOption = Annotated[str, typer.Option("--args", help="Words for the kernels' command line.")]
CompilerOption = Annotated[str, typer.Option("--compiler", help="What builds the kernels.")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(bisect)
    app.command(STEP)(bisect_step)


def bisect(
    tree: Annotated[
        Path | None, typer.Argument(help="A git tree, or a folder of kernel images or packages.")
    ] = None,
    good: Annotated[str | None, typer.Option(help="A commit (or kernel) that is clean.")] = None,
    bad: Annotated[str | None, typer.Option(help="A commit (or kernel) that corrupts.")] = None,
    find_fix: Annotated[
        bool, typer.Option("--find-fix", help="The bad end is the older one: when did it stop?")
    ] = False,
    cell: CellOption = "dom0",
    host: HostOption = None,
    path: Annotated[
        list[str] | None, typer.Option(help="Only commits that touch this; may be repeated.")
    ] = None,
    args: ArgsOption = "",
    compiler: CompilerOption = "gcc",
    config: ConfigOption = DEFAULT,
    resume: Annotated[
        Path | None, typer.Option(help="Resume an interrupted bisect, by its folder.")
    ] = None,
    keep_host: KeepHostOption = False,
    results: ResultsOption = None,
) -> None:
    """Find the commit that brought it in.

    Or with --find-fix the one that ended it.

    Exits 0 when the answer is confirmed, 3 without an answer or with a suspected one.
    """
    from lab.bisect import command as bisectsession
    from lab.bisect.task import Asked
    from lab.config.load import load
    from lab.evidence.results import place_results

    if resume is not None:
        if tree or good or bad or path or find_fix:
            raise UserError("--resume takes its question from the folder: give no other")
        raise typer.Exit(bisectsession.resume(resume, keep_host))
    if tree is None or good is None or bad is None:
        raise UserError("lab bisect needs a tree, --good and --bad (or --resume FOLDER)")
    asked = Asked(
        tree, good, bad, find_fix, at_host(cell, host), tuple(path or ()), args, compiler
    )  # fmt: skip
    text = config.read_text() if config.is_file() else ""
    loaded = load(config)
    place = place_results(results, loaded.results)
    raise typer.Exit(bisectsession.bisect(asked, loaded, text, place, keep_host, repeat()))


def bisect_step(
    tree: Annotated[Path, typer.Argument(help="The git tree that is being bisected.")] = Path(),
    cell: CellOption = "dom0",
    host: HostOption = None,
    find_fix: Annotated[
        bool, typer.Option("--find-fix", help="The old term is the broken one.")
    ] = False,
    args: ArgsOption = "",
    compiler: CompilerOption = "gcc",
    config: ConfigOption = DEFAULT,
    results: ResultsOption = None,
) -> None:
    """One step for `git bisect run`.

    Exits 0 good (old), 1 bad (new), 125 skip, 129 abort.

    With --find-fix 0 is broken (old) and 1 is fixed (new). Any other failure aborts.
    """
    from lab.bisect import command as bisectsession
    from lab.config.load import load
    from lab.evidence.results import place_results

    loaded = load(config)
    place = place_results(results, loaded.results)
    kind = at_host(cell, host)
    found = bisectsession.step(tree, kind, find_fix, loaded, args, compiler, place, repeat())
    raise typer.Exit(found)


def at_host(cell: str, host: str | None) -> str:
    """Both as one word; UserError where they name two hosts."""
    if host is None:
        return cell
    if "@" in cell:
        raise UserError(f"--cell {cell!r} names a host already: leave out --host or the @")
    return f"{cell}@{host}"


def exit_code(words: list[str], code: int) -> int:
    """The code for the shell: of bisect-step, no fault of the lab may look like a mark to git."""
    if STEP in words[:1] and code not in (0, 1, GIT_SKIP):
        return GIT_ABORT
    return code
