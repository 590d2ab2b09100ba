# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab cluster keys`, `lab cluster start` and `lab worker`, from arguments to the end."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.cluster import store
from lab.cluster.extra import require
from lab.config.cluster import check_address
from lab.errors import UserError
from lab.system import machine as this
from lab.system.files import shorten
from lab.system.process import tie
from lab.system.project import PYTHON_PATH
from lab.system.scratch import open_scratch

Say = Callable[[str], None]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def make(folder: Path, say: Say) -> None:
    """`lab cluster keys`."""
    require()
    from lab.cluster.keys import AUTHORITY, ROLES, make_keys

    for path in make_keys(folder):
        say(shorten(path.absolute()))
    say(
        f"each machine needs {AUTHORITY}.pem and its role's two files ({', '.join(ROLES)}); "
        f"{AUTHORITY}.key stays here"
    )


def start(
    listen: str,
    keys: Path | None,
    workers: int,
    cores: int | None,
    machine: str | None,
    say: Say,
) -> None:
    """`lab cluster start`: the scheduler in this process, each worker in one of its own."""
    require()
    from lab.cluster.grid import serve_scheduler

    check_listen(listen)
    machine = name_machine(machine)
    with contextlib.ExitStack() as stack:

        def ready(address: str) -> None:
            say(f"scheduler at {address}")
            for number in range(1, workers + 1):
                words = ["--machine", machine, "--name", f"{machine}-{number}"]
                words += ["--keys", str(keys)] if keys is not None else []
                words += ["--cores", str(cores)] if cores is not None else []
                words += ["--memory", str(this.available_mib() // workers)]
                stack.enter_context(_child(["worker", address, *words]))
            with_keys = f" --keys {keys}" if keys is not None else ""
            say(f"run cells  lab run --cluster {address}{with_keys}")

        serve_scheduler(listen, keys, ready)


@contextlib.contextmanager
def _child(words: list[str]) -> Iterator[None]:
    """The lab in a process of its own, ended with the block."""
    path = os.pathsep.join(filter(None, [str(PYTHON_PATH), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        tie([sys.executable, "-m", "lab", *words], "TERM"),
        stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path}, process_group=0,
    )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def work(
    address: str,
    keys: Path | None,
    machine: str | None,
    cores: int | None,
    memory: int | None,
    name: str | None,
    say: Say,
) -> None:
    """`lab worker`."""
    require()
    from lab.cluster.grid import serve_worker

    check_listen(address)
    machine = name_machine(machine)
    cores = cores or this.cores()
    memory = memory or this.available_mib()
    store.tidy()
    name = name or f"{machine}-{os.getpid()}"
    what = "1 boot" if cores == 1 else f"{cores} boots"

    def ready(_address: str) -> None:
        say(f"worker {name} of {machine}: {what} at once, {memory} MiB, for {address}")

    with open_scratch("worker") as folder:
        serve_worker(address, keys, name, machine, cores, memory, folder, ready)


def check_listen(address: str) -> None:
    """UserError for what is not an address, or one that needs TLS and does not have it."""
    try:
        check_address(address)
    except ValueError as error:
        raise UserError(str(error)) from None


def name_machine(given: str | None) -> str:
    """The name as given, or the host's; it becomes part of cells' ids."""
    if given is not None and not _NAME.fullmatch(given):
        raise UserError(f"--machine {given}: should be letters, digits and ._-")
    if given is not None:
        return given
    host = re.sub(r"[^A-Za-z0-9._-]", "-", platform.node().partition(".")[0]).strip("._-")
    return host or "machine"
