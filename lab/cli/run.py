# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab run`, and the commands on cells and runs: plan, prepare, verify, figures, show, list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.options import (
    DEFAULT,
    ConfigOption,
    KeepHostOption,
    KeysOption,
    ResultsOption,
    RunArgument,
    repeat,
)
from lab.errors import UserError

if TYPE_CHECKING:
    from lab.config.cells import Cell
    from lab.config.lab import LabConfig

CellsArgument = Annotated[
    list[str] | None, typer.Argument(help="Cells by id or glob; all of them by default.")
]
PlanOption = Annotated[
    str | None, typer.Option(help="A configuration of plans/ by name, such as seed.")
]
KernelOption = Annotated[
    list[str] | None, typer.Option(help="A kernel that a plan asks for, NAME=BZIMAGE.")
]

HostOption = Annotated[
    list[str] | None,
    typer.Option(help="A host to run the cells on, by name; may be given more than once."),
]

ClusterOption = Annotated[
    str | None,
    typer.Option(help="The cluster's scheduler, tls://HOST:PORT; no: this machine alone."),
]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, plan, show, list_, page, report, verify, figures, prepare):
        app.command(command.__name__.rstrip("_"))(command)


def run(
    cells: CellsArgument = None,
    config: ConfigOption = DEFAULT,
    trials: Annotated[int | None, typer.Option(min=1, help="Fresh boots per cell.")] = None,
    seconds: Annotated[int | None, typer.Option(min=1, help="Stress, guest seconds.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Resume an interrupted run, by its folder.")
    ] = None,
    keep_host: KeepHostOption = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Repeatable boots; corruptions kept to replay.")
    ] = False,
    plan: PlanOption = None,
    kernel: KernelOption = None,
    results: ResultsOption = None,
    host: HostOption = None,
    cluster: ClusterOption = None,
    keys: KeysOption = None,
) -> None:
    """Run cells and keep the evidence.

    Exits 0 when every cell shows what it should.
    """
    from lab.evidence.results import place_results
    from lab.run import command

    if resume is not None:
        given = (cells, trials, seconds, deterministic, plan, kernel, results, host, cluster, keys)
        if any(given):
            raise UserError("--resume takes its cells and settings from the run: give no others")
        raise typer.Exit(command.resume(resume, keep_host))
    config, loaded = _load(config, plan, kernel, host, cells)
    if trials is not None:
        loaded = loaded.model_copy(update={"trials": trials})
    if seconds is not None:
        stress = loaded.stress.model_copy(update={"seconds": seconds})
        loaded = loaded.model_copy(update={"stress": stress})
    if deterministic:
        from lab.config.deterministic import configure

        loaded = configure(loaded)
    if cluster is not None or keys is not None:
        loaded = _with_cluster(loaded, cluster, keys)
    place = place_results(results, loaded.results)
    raise typer.Exit(command.run(loaded, config, cells or [], place, keep_host, repeat()))


def _with_cluster(config: LabConfig, address: str | None, keys: Path | None) -> LabConfig:
    """The configuration with what the command line says about the cluster."""
    from lab.config.cluster import check_address

    changes: dict[str, object] = {} if keys is None else {"keys": keys}
    if address is not None:
        try:
            changes["address"] = None if address == "no" else check_address(address)
        except ValueError as error:
            raise UserError(f"--cluster: {error}") from None
    return config.model_copy(update={"cluster": config.cluster.model_copy(update=changes)})


def plan(
    cells: CellsArgument = None,
    config: ConfigOption = DEFAULT,
    plan: PlanOption = None,
    kernel: KernelOption = None,
    host: HostOption = None,
) -> None:
    """Print the cells, touching nothing."""
    from lab.run.plan import describe_plan

    _, loaded = _load(config, plan, kernel, host, cells)
    for line in describe_plan(loaded, _select(loaded, cells)):
        typer.echo(line)


def prepare(
    cells: CellsArgument = None,
    config: ConfigOption = DEFAULT,
    plan: PlanOption = None,
    kernel: KernelOption = None,
    host: HostOption = None,
) -> None:
    """Download and build what cells need."""
    from lab.run import command

    _, loaded = _load(config, plan, kernel, host, cells)
    command.prepare(loaded, _select(loaded, cells))


def verify(
    folder: Annotated[Path, typer.Argument(help="A run's folder, or an archive of one.")],
    signer: Annotated[
        Path | None,
        typer.Option(help="Who may have signed the archive: a public key, or allowed signers."),
    ] = None,
) -> None:
    """Derive a run's verdicts again.

    From the raw consoles, after the hashes of all files were checked.
    """
    if folder.is_file():
        from lab.run import handover

        raise typer.Exit(handover.verify_archive(folder, signer))
    from lab.run import verify as verification

    if signer is not None:
        raise UserError("--signer goes with an archive that `lab export` made")
    raise typer.Exit(verification.verify(folder))


def figures(folder: RunArgument) -> None:
    """Print a run's speeds and rates: medians over its boots."""
    from lab.run import figures as module

    module.show(folder)


def show(
    folder: RunArgument,
    cell: Annotated[str | None, typer.Argument(help="One of its cells, for all about it.")] = None,
) -> None:
    """Print a run's table again, or all about one cell."""
    from lab.run import show as module

    if cell is None:
        module.show_run(folder)
    else:
        module.show_cell(folder, cell)


def list_(config: ConfigOption = DEFAULT, results: ResultsOption = None) -> None:
    """List the runs: command and outcome."""
    from lab.evidence.results import find_results
    from lab.run.show import list_runs

    # Runs can be looked at where there is no configuration.
    configured = _load(config)[1].results if config != DEFAULT or config.exists() else None
    list_runs(find_results(results, configured))


def page(
    folder: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run's folder.")] = None,
    config: ConfigOption = DEFAULT,
    results: ResultsOption = None,
) -> None:
    """Write static HTML: a run's pages, or one over all runs.

    Without RUN also the pages of every run without any.
    """
    from lab.evidence.results import find_results
    from lab.page import command

    configured = _load(config)[1].results if config != DEFAULT or config.exists() else None
    command.page(find_results(results, configured), folder)


def report(
    folder: RunArgument,
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="junit, tap, kcidb, text or markdown.")
    ] = "text",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file, instead of the terminal.")
    ] = None,
) -> None:
    """Print a run in a form that other tools read."""
    from lab.run import report as module

    try:
        chosen = module.Format(form)
    except ValueError:
        known = ", ".join(module.Format)
        raise UserError(f"--format {form}: there is no such format; there are {known}") from None
    module.report(folder, chosen, output)


def _load(
    config: Path,
    plan: str | None = None,
    kernels: list[str] | None = None,
    hosts: list[str] | None = None,
    wanted: list[str] | None = None,
) -> tuple[Path, LabConfig]:
    """The configuration file, and its content with the kernels and hosts from the command line."""
    from lab.config.cells import on_hosts, with_named_hosts
    from lab.config.load import load

    if plan is not None:
        from lab.config.lab import with_mirror
        from lab.config.load import plan_file

        where, config = config, plan_file(plan)
    loaded = load(config)
    if plan is not None and (where != DEFAULT or where.exists()):
        # A plan does not know this user's mirror.
        loaded = with_mirror(loaded, load(where))
    if kernels:
        from lab.config.kernel import supply

        loaded = loaded.model_copy(update={"kernels": supply(loaded.kernels, kernels)})
    if hosts:
        return config, on_hosts(loaded, list(dict.fromkeys(hosts)))
    if any("@" in word for word in wanted or ()):
        return config, with_named_hosts(loaded, wanted or [])
    return config, loaded


def _select(config: LabConfig, wanted: list[str] | None) -> list[Cell]:
    from lab.config.cells import cells, select

    return select(cells(config), wanted or [])
