# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that several commands share."""

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
KeysOption = Annotated[
    Path | None, typer.Option(help="The folder of the cluster's keys, of `lab cluster keys`.")
]
RunArgument = Annotated[Path, typer.Argument(help="A run's folder.")]


def repeat() -> str:
    """The command line, quoted so that it can be typed again."""
    return shlex.join(["lab", *sys.argv[1:]])
