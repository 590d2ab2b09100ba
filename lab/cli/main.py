# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line. Modules are imported where they are used, so that --help is quick."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from lab.cli import bisect as cli_bisect
from lab.cli import board as cli_board
from lab.cli import cluster as cli_cluster
from lab.cli import history as cli_history
from lab.cli import host as cli_host
from lab.cli import kernel as cli_kernel
from lab.cli import nightly as cli_nightly
from lab.cli import probe as cli_probe
from lab.cli import replay as cli_replay
from lab.cli import run as cli_run
from lab.cli import search as cli_search
from lab.cli import validate as cli_validate
from lab.errors import LabError, UserError
from lab.exitcodes import MEANINGS, Exit

app = typer.Typer(
    help="Does a kernel, as a Xen guest, let one task's FPU registers leak into another's?",
    epilog="\b\nexit codes:\n" + "\n".join(f"{code:>5}  {text}" for code, text in MEANINGS.items()),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def doctor() -> None:
    """Say what this machine can do, and what it lacks."""
    from lab.doctor import checks

    worst = Exit.OK
    for check in checks():
        mark = {True: "ok  ", False: "BAD ", None: "note"}[check.ok]
        typer.echo(f"{mark} {check.name:<14} {check.says}")
        if check.todo:
            typer.echo(f"     {'':<14} -> {check.todo}")
        worst = max(worst, Exit.LAB_ERROR if check.ok is False else Exit.OK)
    raise typer.Exit(worst)


def init(
    force: Annotated[bool, typer.Option("--force", help="Also over one that is there.")] = False,
) -> None:
    """Write a commented lab.yaml here.

    And its schema beside it, lab.schema.json, by which editors complete and check it.
    """
    from lab.config.template import write_template

    write_template(Path.cwd(), force)
    typer.echo("lab.yaml is written, with every key explained")
    typer.echo("next: `lab doctor` says what this machine lacks, `lab run` runs the cells")


def schema() -> None:
    """Print the JSON schema of lab.yaml, for editors."""
    from lab.config.load import schema_text

    typer.echo(schema_text(), nl=False)


for group in (
    cli_run,
    cli_history,
    cli_probe,
    cli_validate,
    cli_bisect,
    cli_replay,
    cli_search,
    cli_kernel,
    cli_host,
    cli_board,
    cli_nightly,
    cli_cluster,
):
    group.add(app)
for command in (init, doctor, schema):
    app.command()(command)


def _crash(error: Exception) -> str:
    """Write the traceback to a file that can be reported; the message with its path."""
    import traceback

    from lab.system.cache import cache_dir
    from lab.system.files import write_atomic

    try:
        path = cache_dir() / "crash.log"
        write_atomic(path, "".join(traceback.format_exception(error)))
    except (OSError, MemoryError):
        return f"{error} (and the details could not be written)"
    return f"{error} (details: {path})"


# What the machine lacks is not a fault of the lab's code.
_LACKS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EROFS: "the disk is read-only",
    errno.EMFILE: "too few open files are allowed (ulimit -n)",
    errno.ENFILE: "the machine has no file descriptor left",
    errno.ENOMEM: "there is not enough memory",
}


def _name_lack(error: Exception) -> str:
    """What the machine lacks, in a sentence; empty where it is something else."""
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, "")
    if not isinstance(error, OSError) or error.errno not in _LACKS:
        return ""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{_LACKS[error.errno]}; what was written stays, `lab run --resume` continues"


def main() -> NoReturn:
    """Entry point: no traceback reaches a user, no fault of the lab looks like a mark to git."""
    sys.exit(cli_bisect.exit_code(sys.argv[1:], _main()))


def _main() -> int:
    try:
        app()
    except SystemExit as end:  # how typer ends
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except UserError as error:
        typer.echo(f"lab: {error}", err=True)
        return Exit.BAD_INPUT
    except LabError as error:
        typer.echo(f"lab: {error}", err=True)
        return Exit.LAB_ERROR
    except KeyboardInterrupt:
        typer.echo("lab: interrupted", err=True)
        return Exit.INTERRUPTED
    except Exception as error:  # a fault of the lab: details go into a file, not to the terminal
        lack = _name_lack(error)
        if lack:
            typer.echo(f"lab: {lack}", err=True)
            return Exit.LAB_ERROR
        typer.echo(f"lab: internal error, {type(error).__name__}: {_crash(error)}", err=True)
        return Exit.LAB_ERROR
    return Exit.OK
