"""The command line. Modules are imported where they are used, so that --help is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from lab.cli import bisect as cli_bisect
from lab.cli import kernel as cli_kernel
from lab.cli import replay as cli_replay
from lab.cli import search as cli_search
from lab.cli import validate as cli_validate
from lab.errors import LabError, UserError

if TYPE_CHECKING:
    from lab.config.cells import Cell
    from lab.config.lab import LabConfig

app = typer.Typer(
    help="Does a kernel, as a Xen guest, let one task's FPU registers leak into another's?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
host_app = typer.Typer(help="The nested Xen host by itself.", no_args_is_help=True)
app.add_typer(host_app, name="host")
cli_bisect.add(app)
cli_kernel.add(app)
cli_replay.add(app)
cli_validate.add(app)
cli_search.add(app)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The configuration.")]
CellsArgument = Annotated[
    list[str] | None, typer.Argument(help="Cells by id or glob; all of them by default.")
]
DEFAULT = Path("lab.yaml")


@app.command()
def run(
    cells: CellsArgument = None,
    config: ConfigOption = DEFAULT,
    trials: Annotated[int | None, typer.Option(min=1, help="Fresh boots per cell.")] = None,
    seconds: Annotated[int | None, typer.Option(min=1, help="Stress, guest seconds.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a run that was cut off, by its folder.")
    ] = None,
    keep_host: Annotated[
        bool, typer.Option("--keep-host", help="Leave the Xen host running afterwards.")
    ] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Repeatable boots; corruptions kept to replay.")
    ] = False,
    plan: Annotated[
        str | None, typer.Option(help="A configuration of plans/ by name, such as seed.")
    ] = None,
    kernel: Annotated[
        list[str] | None, typer.Option(help="A kernel that a plan asks for, NAME=BZIMAGE.")
    ] = None,
) -> None:
    """Run cells and keep the evidence; exits 0 when every cell shows what it should."""
    from lab.run import command as session

    if resume is not None:
        if cells or trials or seconds or deterministic or plan or kernel:
            raise UserError("--resume takes its cells and settings from the run: give no others")
        raise typer.Exit(session.resume(resume, keep_host))
    if plan is not None:
        from lab.config.load import plan_file

        config = plan_file(plan)
    loaded = _load(config, trials, seconds)
    if kernel:
        from lab.config.kernel import supplied

        loaded = loaded.model_copy(update={"kernels": supplied(loaded.kernels, kernel)})
    if deterministic:
        from lab.qemu.icount import configured

        loaded = configured(loaded)
    raise typer.Exit(session.run(loaded, config, cells or [], keep_host, _repeat()))


@app.command()
def plan(cells: CellsArgument = None, config: ConfigOption = DEFAULT) -> None:
    """Print the cells, touching nothing."""
    found = _selected(_load(config), cells)
    width = max(len(cell.id) for cell in found)
    for cell in found:
        details = [f"expect {cell.expect}" if cell.expect else "no expectation"]
        details += [f"{cell.vcpus} vcpus"] if cell.vcpus > 1 else []
        details += [f"args {cell.args}"] if cell.args else []
        details += [f"{key} {value}" for key, value in cell.settings.items()]
        details += ["added as the control"] if cell.added_as_control else []
        typer.echo(f"{cell.id:<{width}}  {', '.join(details)}")


@app.command()
def prepare(cells: CellsArgument = None, config: ConfigOption = DEFAULT) -> None:
    """Download and build what the cells need, without running them."""
    from lab.run import command as session

    loaded = _load(config)
    session.prepare(loaded, _selected(loaded, cells))


@app.command()
def verify(folder: Annotated[Path, typer.Argument(help="A run's folder.")]) -> None:
    """Check a run's hashes and derive every verdict again from the raw consoles."""
    from lab.run import verify as verification

    raise typer.Exit(verification.verify(folder))


@app.command()
def figures(folder: Annotated[Path, typer.Argument(help="A run's folder.")]) -> None:
    """Print a run's speeds and rates: medians over its boots."""
    from lab.run import figures as module

    module.show(folder)


@app.command()
def doctor() -> None:
    """Say what this machine can do, and what to do about what it cannot."""
    from lab.doctor import checks

    worst = 0
    for check in checks():
        mark = {True: "ok  ", False: "BAD ", None: "note"}[check.ok]
        typer.echo(f"{mark} {check.name:<14} {check.says}")
        if check.todo:
            typer.echo(f"     {'':<14} -> {check.todo}")
        worst = max(worst, 4 if check.ok is False else 0)
    raise typer.Exit(worst)


@app.command()
def schema() -> None:
    """Print the JSON schema of lab.yaml, for editors."""
    import json

    from lab.config.load import json_schema

    typer.echo(json.dumps(json_schema(), indent=1))


@host_app.command("start")
def host_start(config: ConfigOption = DEFAULT) -> None:
    """Boot the nested Xen host and leave it running; runs will use it."""
    from lab.run import host

    host.start(_load(config))


@host_app.command("stop")
def host_stop(config: ConfigOption = DEFAULT) -> None:
    """Stop the nested Xen host, also one that a killed controller left."""
    from lab.run import host

    host.stop(_load(config))


@host_app.command("status")
def host_status(config: ConfigOption = DEFAULT) -> None:
    """Say whether the host runs and answers."""
    from lab.run import host

    raise typer.Exit(host.status(_load(config)))


def _load(config: Path, trials: int | None = None, seconds: int | None = None) -> LabConfig:
    from lab.config.load import load

    loaded = load(config)
    if trials is not None:
        loaded = loaded.model_copy(update={"trials": trials})
    if seconds is not None:
        stress = loaded.stress.model_copy(update={"seconds": seconds})
        loaded = loaded.model_copy(update={"stress": stress})
    return loaded


def _selected(config: LabConfig, cells: list[str] | None) -> list[Cell]:
    from lab.config.cells import cells as all_cells
    from lab.config.cells import select

    return select(all_cells(config), cells or [])


def _repeat() -> str:
    import shlex

    return shlex.join(["lab", *sys.argv[1:]])


def _crash(error: Exception) -> str:
    """Keep the traceback where it can be reported from; what went wrong, and where that is."""
    import traceback

    from lab.system.cache import cache_dir
    from lab.system.files import write_atomic

    path = cache_dir() / "crash.log"
    write_atomic(path, "".join(traceback.format_exception(error)))
    return f"{error} (details: {path})"


def main() -> NoReturn:
    """Entry point: no traceback reaches a user, no fault of ours looks like a mark to git."""
    sys.exit(cli_bisect.exit_code(sys.argv[1:], _main()))


def _main() -> int:
    try:
        app()
    except SystemExit as end:  # how typer ends
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except UserError as error:
        typer.echo(f"lab: {error}", err=True)
        return 2
    except LabError as error:
        typer.echo(f"lab: {error}", err=True)
        return 4
    except KeyboardInterrupt:
        typer.echo("lab: interrupted", err=True)
        return 130
    except Exception as error:  # a fault of ours: its details are for us, not for the terminal
        typer.echo(f"lab: internal error, {type(error).__name__}: {_crash(error)}", err=True)
        return 4
    return 0
