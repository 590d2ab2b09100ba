# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab kernel`: kernels without a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.errors import UserError

if TYPE_CHECKING:
    from lab.config.kernel import KernelConfig


def add(app: typer.Typer) -> None:
    """Add the commands to the program's."""
    kernel = typer.Typer(help="Kernels without a run.", no_args_is_help=True)
    kernel.command("build")(build)
    app.add_typer(kernel, name="kernel")


def build(
    tree: Annotated[str, typer.Argument(help="A Linux tree: a folder or a git URL.")],
    rev: Annotated[
        str | None, typer.Option(help="A git revision; by default the folder as it is.")
    ] = None,
    patch: Annotated[
        list[Path] | None, typer.Option(help="Applied in the order given.", exists=True)
    ] = None,
    fragment: Annotated[
        list[Path] | None, typer.Option(help="Configuration, on top of the lab's.", exists=True)
    ] = None,
    make: Annotated[list[str] | None, typer.Option(help="A make variable, NAME=VALUE.")] = None,
    compiler: Annotated[
        str | None, typer.Option(help="Such as gcc-11; for old trees the oldest gcc by default.")
    ] = None,
) -> None:
    """Build a tree with the lab's configuration; prints the image and how to build it by hand."""
    from lab.kernel.resolve import resolve
    from lab.report.terminal import Terminal

    config = _check(
        tree=tree, rev=rev, patches=patch or [], fragments=fragment or [],
        make=dict(_variable(word) for word in make or []), compiler=compiler,
    ).absolute(Path.cwd())  # fmt: skip
    terminal = Terminal()
    with terminal.progress():
        found = resolve("kernel", config, lambda state: terminal.board.state("kernel", state))
    provenance = found.kernel.provenance
    terminal.say(f"image     {found.kernel.image} ({found.image.version})")
    terminal.say(f"symbols   {found.kernel.vmlinux}")
    for edit in provenance["fixups"]:
        terminal.say(f"fix-up    {edit} (lab/kernel/fixup_table.py says why)")
    terminal.say("again, by hand:")
    for line in provenance["repeat"]:
        terminal.say(f"  {line}")


def _check(**values: object) -> KernelConfig:
    from pydantic import ValidationError

    from lab.config.kernel import KernelConfig

    try:
        return KernelConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{where}: {message}" if where else message) from None


def _variable(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise UserError(f"--make {word}: should read NAME=VALUE")
    return name, value
