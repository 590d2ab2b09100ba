# SPDX-License-Identifier: GPL-2.0-or-later
"""dask.distributed: scheduler, workers and the controller's side of both. Its one owner.

Dask decides when and on which worker something runs. Whether it is tried again is decided by the
lab's rules, so Dask's own retries are off: with ``allowed_failures`` 0 what a lost worker ran is
an error at once. Nothing listens without mutual TLS but on the loopback interface, and the HTTP
servers that Dask always starts have no pages and listen there too.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, Scheduler, Security, Worker, get_worker

from lab.cluster.attempt import Answer, Attempt, Said
from lab.cluster.keys import KeyFiles, Role, find_keys
from lab.cluster.version import name_version
from lab.config.cluster import is_loopback
from lab.errors import LabError, UserError

_HTTP = "127.0.0.1:0"
_CONNECT_SECONDS = 15
_TTL_SECONDS = 120  # a worker that says nothing for so long is given up
_SETTINGS = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Pieces of consoles are kept by the scheduler so many, by their topic: they are not needed.
    "distributed.admin.low-level-log-length": 50,
    "distributed.worker.profile.enabled": False,
    "distributed.scheduler.work-stealing": False,
}
MACHINE = "machine:"  # the name of a resource that says which machine a worker is on


class LostWorkerError(Exception):
    """The worker that ran something is gone. The message is its name."""


class LostSchedulerError(LabError):
    """Nothing is known any more of what runs."""


@dataclass(frozen=True)
class WorkerFacts:
    """A worker as the scheduler knows it. ``memory_mib``: what boots of its may take."""

    address: str
    name: str
    machine: str
    cores: int
    memory_mib: int


def make_security(address: str, keys: Path | None, role: Role) -> Security | None:
    """The certificates for an address; None for one without TLS. UserError without keys."""
    if address.startswith("tcp://"):
        return None
    if keys is None:
        raise UserError(
            f"{address}: needs keys: name the folder that `lab cluster keys` made "
            "(cluster.keys in lab.yaml, or --keys)"
        )
    return _secure(find_keys(keys, role), role)


def _secure(found: KeyFiles, role: Role) -> Security:
    return Security(
        require_encryption=True,
        tls_ca_file=str(found.authority),
        **{f"tls_{role}_cert": str(found.certificate), f"tls_{role}_key": str(found.key)},
    )


# --- the scheduler and a worker, each as long as its process ---


def serve_scheduler(address: str, keys: Path | None, ready: Callable[[str], None]) -> None:
    """Until SIGTERM or Ctrl-C. ``ready`` is given the address."""
    security = make_security(address, keys, "scheduler")
    protocol, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")

    async def serve() -> None:
        try:
            scheduler = await Scheduler(
                host=host.strip("[]"), port=int(port), protocol=protocol, security=security,
                allowed_failures=0, worker_ttl=_TTL_SECONDS, dashboard=False,
                dashboard_address=_HTTP,
            )  # fmt: skip
        except OSError as error:
            raise LabError(f"{address}: the scheduler cannot listen there ({error})") from None
        ready(scheduler.address)
        await _until_asked(scheduler.finished())
        await scheduler.close()

    _run(serve())


def serve_worker(
    address: str, keys: Path | None, name: str, machine: str, cores: int, memory_mib: int,
    folder: Path, ready: Callable[[str], None],
) -> None:  # fmt: skip
    """Until SIGTERM or Ctrl-C, or until the scheduler is gone: LabError then."""
    security = make_security(address, keys, "worker")
    resources = {"cores": cores, "mem": memory_mib, f"{MACHINE}{machine}": cores}
    name_version()  # of the source with which this process began

    async def serve() -> None:
        try:
            worker = await Worker(
                address, security=security, name=name, nthreads=cores, resources=resources,
                host=_find_host(address), memory_limit=0, death_timeout=60,
                local_directory=str(folder), dashboard=False, dashboard_address=_HTTP,
            )  # fmt: skip
        except (OSError, TimeoutError) as error:
            raise LabError(f"{address}: no scheduler is reached there ({_say(error)})") from None
        ready(worker.address)
        asked = await _until_asked(worker.finished())
        await worker.close(nanny=False)
        if not asked:
            raise LabError(f"{address}: the scheduler is gone")

    _run(serve())


def _find_host(address: str) -> str | None:
    """Where a worker listens: on this machine alone, if the scheduler does; None: everywhere."""
    return "127.0.0.1" if is_loopback(address) else None


async def _until_asked(finished: Any) -> bool:
    """Wait for a signal, or until it has ended; True after a signal."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    waits = [asyncio.ensure_future(finished), asyncio.ensure_future(asked.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return asked.is_set()


def _run(serving: Any) -> None:
    quieten()
    with dask.config.set(_SETTINGS):
        asyncio.run(serving)


def quieten() -> None:
    """Dask's own words to the terminal; what matters is said by the lab."""
    for name in ("distributed", "distributed.worker", "distributed.scheduler", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _say(error: BaseException) -> str:
    """The innermost cause in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0] or type(error).__name__


# --- on a worker, in the thread of a task ---


def run_attempt(words: dict[str, Any]) -> dict[str, Any]:
    """The task: one attempt of one trial."""
    from lab.cluster import work

    worker, attempt = get_worker(), Attempt(**words)

    def say(said: Said) -> None:
        worker.log_event(attempt.topic, said.as_words())

    return work.run_attempt(attempt, str(worker.name), say).as_words()


def _say_version() -> str:
    return name_version()


# --- the controller ---


class Grid:
    """A connection to a scheduler, for a run. Safe for threads."""

    def __init__(self, address: str, keys: Path | None, topic: str) -> None:
        """LabError when nothing answers there. ``topic``: where consoles are streamed to."""
        quieten()
        self.topic = topic
        self._listeners: dict[str, Callable[[Said], None]] = {}
        self._config = dask.config.set(_SETTINGS)
        security = make_security(address, keys, "client")
        try:
            self._client = Client(
                address, security=security, timeout=_CONNECT_SECONDS, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise LabError(f"{address}: no scheduler is reached there ({_say(error)})") from None
        self._client.subscribe_topic(topic, self._hear)

    def close(self) -> None:
        with contextlib.suppress(Exception):  # it may be gone already
            self._client.close(timeout=5)
        self._config.__exit__(None, None, None)

    @property
    def connected(self) -> bool:
        return str(self._client.status) == "running"

    def workers(self) -> list[WorkerFacts]:
        """Those of the lab that there are now; LostSchedulerError when it does not answer."""
        try:
            found = self._client.scheduler_info(n_workers=-1)["workers"]
        except Exception as error:
            raise LostSchedulerError(f"the scheduler does not answer ({_say(error)})") from None
        made = [_read_worker(address, one) for address, one in found.items()]
        return [one for one in made if one is not None]

    def versions(self) -> dict[str, str]:
        """Of the lab on each worker, by the worker's address."""
        return dict(self._call(_say_version))

    def call_on(self, worker: WorkerFacts, function: Callable[..., Any], *words: Any) -> Any:
        """Call it on a worker beside its tasks, and return what it returns.

        LostWorkerError when the worker is gone.
        """
        found = self._call(function, *words, workers=[worker.address])
        if worker.address not in found:
            raise LostWorkerError(worker.name)
        return found[worker.address]

    def _call(self, function: Callable[..., Any], *words: Any, workers: Any = None) -> Any:
        try:
            return self._client.run(function, *words, workers=workers)
        except LabError:
            raise
        except Exception as error:
            raise LostWorkerError(_say(error)) from None

    def task(
        self, function: Callable[..., Any], *words: Any, key: str, resources: Mapping[str, float]
    ) -> Task:
        """Run it where the resources are, once."""
        return Task(
            self._client.submit(
                function, *words, key=key, resources=dict(resources), retries=0, pure=False
            )
        )

    @contextlib.contextmanager
    def listening(self, attempt: str, hear: Callable[[Said], None]) -> Any:
        """In the block ``hear`` gets what is said about the attempt, in a thread of its own."""
        self._listeners[attempt] = hear
        try:
            yield
        finally:
            del self._listeners[attempt]

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        said = Said.read(event[1])
        hear = self._listeners.get(said.attempt)
        if hear is not None:  # else it was given up: what it says counts no more
            hear(said)


class Task:
    """Something that was submitted."""

    def __init__(self, future: Future) -> None:
        self._future = future
        self._changed = threading.Event()
        future.add_done_callback(lambda _future: self._changed.set())

    def wait(self, seconds: float) -> bool:
        """True as soon as it has ended."""
        return self._changed.wait(seconds) or bool(self._future.done())

    def result(self) -> Any:
        """LostWorkerError, LostSchedulerError, or LabError with what the task raised."""
        status = self._future.status
        if status == "finished":
            try:
                return self._future.result(timeout=120)
            except Exception as error:
                raise LabError(f"a result did not arrive: {_say(error)}") from None
        fault = self._future.exception() if status == "error" else None
        if isinstance(fault, KilledWorker):
            raise LostWorkerError(str(fault.last_worker.name))
        if fault is None:
            raise LostSchedulerError("the connection to the scheduler was lost")
        if isinstance(fault, LabError | UserError):
            raise LabError(str(fault))
        raise LabError(f"a task failed: {type(fault).__name__}: {_say(fault)}")

    def answer(self) -> Answer:
        return Answer.read(self.result())

    def forget(self) -> None:
        """It is not wanted any more, and its result is removed. What runs is not stopped by it."""
        with contextlib.suppress(Exception):
            self._future.cancel(force=True)


def _read_worker(address: str, found: Mapping[str, Any]) -> WorkerFacts | None:
    """None for a worker that is not of this lab."""
    resources = found.get("resources", {})
    machine = next((n.removeprefix(MACHINE) for n in resources if n.startswith(MACHINE)), None)
    if machine is None:
        return None
    return WorkerFacts(
        address, str(found["name"]), machine, int(resources["cores"]), int(resources["mem"])
    )
