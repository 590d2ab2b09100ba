"""What several commands share: their options, and what is made of them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

DEFAULT = Path("lab.yaml")
ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration.")]
KeepHostOption = Annotated[
    bool, typer.Option("--keep-host", help="Leave the Xen host running afterwards.")
]
ResultsOption = Annotated[
    Path | None,
    typer.Option(help="Where the run's folder is made, instead of ./results."),
]
RunArgument = Annotated[Path, typer.Argument(help="A run's folder.")]


def repeat() -> str:
    """The command that was typed, as one types it again."""
    return shlex.join(["lab", *sys.argv[1:]])
