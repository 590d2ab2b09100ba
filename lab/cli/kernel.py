# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab kernel`: kernels without a run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab.cli.options import DEFAULT, ConfigOption
from lab.errors import UserError

if TYPE_CHECKING:
    from lab.config.kernel import KernelConfig
    from lab.kernel.archive import Archive


def add(app: typer.Typer) -> None:
    """Add the commands to the program's."""
    kernel = typer.Typer(help="Kernels without a run.", no_args_is_help=True)
    kernel.command("build")(build)
    app.add_typer(kernel, name="kernel")


def build(
    tree: Annotated[
        str, typer.Argument(help="A release such as 3.19.8, or a tree: a folder or a git URL.")
    ],
    rev: Annotated[
        str | None, typer.Option(help="A git revision; by default the folder as it is.")
    ] = None,
    patch: Annotated[
        list[Path] | None, typer.Option(help="Applied in the order given.", exists=True)
    ] = None,
    kconfig: Annotated[
        Path | None,
        typer.Option(
            help="A whole .config to begin with, or an image that holds its own.", exists=True
        ),
    ] = None,
    fragment: Annotated[
        list[Path] | None, typer.Option(help="Configuration, on top of the lab's.", exists=True)
    ] = None,
    make: Annotated[list[str] | None, typer.Option(help="A make variable, NAME=VALUE.")] = None,
    compiler: Annotated[
        str | None, typer.Option(help="Such as gcc-11; for old trees the oldest gcc by default.")
    ] = None,
    config: ConfigOption = DEFAULT,
) -> None:
    """Build a release or a tree with the lab's configuration.

    Prints the image and how to build it by hand.
    """
    from lab.kernel.resolve import resolve
    from lab.report.terminal import Terminal

    wanted = _check(
        **_name_source(tree), rev=rev, patches=patch or [], config=kconfig,
        fragments=fragment or [], make=dict(_variable(word) for word in make or []),
        compiler=compiler,
    ).absolute(Path.cwd())  # fmt: skip
    archive = _find_archive(config)
    terminal = Terminal()
    with terminal.progress():
        found = resolve("kernel", wanted, partial(terminal.board.state, "kernel"), archive)
    provenance = found.kernel.provenance
    terminal.say(f"image     {found.kernel.image} ({found.image.version})")
    terminal.say(f"symbols   {found.kernel.vmlinux}")
    if wanted.release is not None:
        terminal.say(f"verified  {provenance['source_proof']}, by {provenance['source_signer']}")
    if "base_config" in provenance:
        terminal.say(f"config    {_count(provenance['base_config'])}")
        terminal.say(f"cut       {found.kernel.image.with_name('cut.config')}")
    if provenance.get("reading", {}).get("says"):
        terminal.say(f"source    {provenance['reading']['says']}")
    for note in provenance["notes"]:
        terminal.say(f"note      {note}")
    for edit in provenance["fixups"]:
        terminal.say(f"fix-up    {edit} (lab/kernel/fixup_table.py says why)")
    terminal.say("again, by hand:")
    for line in provenance["repeat"]:
        terminal.say(f"  {line}")


def _count(made: Mapping[str, Any]) -> str:
    return (
        f"{made['file']}: of {made['options']:,} options {made['modules_off']:,} modules and "
        f"{made['others_off']:,} others are off, {made['differ']:,} differ"
    )


def _name_source(word: str) -> dict[str, str]:
    """A folder of that name is meant before a release."""
    from lab.config.kernel import is_release

    return {"release" if is_release(word) and not Path(word).exists() else "tree": word}


def _find_archive(config: Path) -> Archive:
    """Mirror and keyring of the configuration; kernel.org where there is no lab.yaml."""
    from lab.config.load import load
    from lab.kernel.archive import Archive

    if config == DEFAULT and not config.exists():
        return Archive()
    loaded = load(config)
    return Archive(loaded.mirrors, loaded.keyring)


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
