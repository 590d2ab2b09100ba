# SPDX-License-Identifier: GPL-2.0-or-later
"""How a cluster scales, with boots that only sleep: `python -m tests.scaling [WORKERS...]`.

Scheduler, connection, tasks and streamed consoles are real; all workers are in one process. For
each number of workers it prints the boots in an hour against those of as many machines without
any overhead, then what a boot costs and the controller's memory after many (`$BOOTS`, 10,000).
"""

from __future__ import annotations

import asyncio
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import distributed

from lab.cluster.attempt import Said
from lab.cluster.grid import MACHINE, Grid, make_security, quieten
from tests.helpers.grid import local_cluster
from tests.helpers.lab import environment

SECONDS = 2.0  # of a boot: shorter than any real one, so that the overhead shows
BOOTS = 10  # of each worker
MANY = int(os.environ.get("BOOTS", "10000"))
_PIECE = bytes(8192)  # a real console has some 20 KiB
_KEPT = {"cores": 1.0, "mem": 1000.0, f"{MACHINE}m1": 1.0}


def sleep_boot(topic: str, attempt: str, seconds: float) -> dict[str, Any]:
    """Runs on a worker in place of a boot."""
    worker = distributed.get_worker()
    worker.log_event(topic, Said(attempt, "begun", str(worker.name)).as_words())
    for number in range(2):
        time.sleep(seconds / 2)
        said = Said(attempt, "console", str(worker.name), number * len(_PIECE), _PIECE)
        worker.log_event(topic, said.as_words())
    return {"console": _PIECE * 2}


def boot_once(grid: Grid, seconds: float) -> None:
    """What a place does: send, listen, wait."""
    attempt = secrets.token_hex(8)
    heard: list[Said] = []
    with grid.listening(attempt, heard.append):
        words = (grid.topic, attempt, seconds)
        task = grid.task(sleep_boot, *words, key=attempt, resources=_KEPT)
        while not task.wait(0.5):
            pass
        task.result()
        task.forget()
    assert [said.kind for said in heard] == ["begun", "console", "console"]


def measure(grid: Grid, workers: int, boots: int, seconds: float) -> float:
    """Wall seconds of so many boots, as many side by side as there are workers."""
    began = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda _number: boot_once(grid, seconds), range(boots)))
    return time.monotonic() - began


async def serve(address: str, keys: Path, workers: int) -> None:
    """So many workers in this process."""
    quieten()
    security = make_security(address, keys, "worker")
    made = [
        distributed.Worker(
            address, name=f"w{number}", nthreads=1, security=security, host="127.0.0.1",
            resources=_KEPT, memory_limit=0, dashboard=False, dashboard_address="127.0.0.1:0",
        )
        for number in range(workers)
    ]  # fmt: skip
    await asyncio.gather(*made)
    await asyncio.gather(*(worker.finished() for worker in made))


@contextmanager
def cluster_of(workers: int) -> Iterator[Grid]:
    """A scheduler and so many workers; the connection to them."""
    with tempfile.TemporaryDirectory() as name, local_cluster(Path(name), {}) as cluster:
        words = [sys.executable, "-m", "tests.scaling", "--serve", cluster.address]
        words += [str(cluster.keys), str(workers)]
        with subprocess.Popen(words, env=environment()) as process:
            cluster.await_workers({f"w{number}" for number in range(workers)}, set())
            grid = Grid(cluster.address, cluster.keys, "scaling")
            try:
                yield grid
            finally:
                grid.close()
                process.kill()


def main(numbers: list[int]) -> None:
    """A line for each number; the last one also says what a boot costs."""
    for workers in numbers:
        with cluster_of(workers) as grid:
            measure(grid, workers, workers, 0.0)  # connections are made
            boots = workers * BOOTS
            took = measure(grid, workers, boots, SECONDS)
            linear = boots * SECONDS / workers / took
            hour = boots / took * 3600
            print(f"{workers:4} workers: {hour:8,.0f} boots/hour, {linear:.0%} of linear")
            if workers == numbers[-1]:
                measure_cost(grid, workers)


def measure_cost(grid: Grid, workers: int) -> None:
    """Of many boots that take no time."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    took = measure(grid, workers, MANY, 0.0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{MANY:,} boots of 0 s by {workers} workers: {took / MANY * 1000:.1f} ms each")
    print(f"the controller: {spent / MANY * 1000:.1f} ms of processor time each")
    print(f"its memory: {before.ru_maxrss >> 10} MiB before, {after.ru_maxrss >> 10} MiB after")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
    else:
        main([int(word) for word in sys.argv[1:]] or [1, 5, 20, 50])
