# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster on this machine for tests: a real scheduler and real workers; QEMU may be a script."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.cluster.grid import Grid
from lab.cluster.keys import make_keys
from lab.config.cluster import ClusterConfig
from tests.helpers.consoles import console
from tests.helpers.lab import LAB, environment

NONCE = "cafe"
_STARTED = 120.0  # seconds, on a machine with ten times its load


class LocalCluster:
    """A scheduler with mutual TLS on the loopback interface, and workers by name."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.keys = folder / "keys"
        make_keys(self.keys)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"tls://127.0.0.1:{probe.getsockname()[1]}"
        self._env = {**environment(), **env}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._log = (folder / "cluster.log").open("ab")
        keys = ["--keys", str(self.keys)]
        self._keys = keys
        words = ["cluster", "start", "--listen", self.address, "--workers", "0", *keys]
        self._start("scheduler", words)

    @property
    def config(self) -> ClusterConfig:
        return ClusterConfig(address=self.address, keys=self.keys)

    def add_workers(self, machine: str, *names: str, memory: int = 2048) -> None:
        """Each of one core; returns when the scheduler knows them."""
        for name in names:
            words = ["worker", self.address, "--machine", machine, "--name", name, "--cores", "1",
                     "--memory", str(memory)]  # fmt: skip
            self._start(name, [*words, *self._keys])
        self.await_workers(set(names), set())

    def await_workers(self, present: set[str], absent: set[str]) -> None:
        limit = time.monotonic() + _STARTED
        grid = self._connect(limit)
        try:
            while True:
                known = {worker.name for worker in grid.workers()}
                if present <= known and not absent & known:
                    return
                assert time.monotonic() < limit, f"{present} should be there, {absent} not: {known}"
                time.sleep(0.1)
        finally:
            grid.close()

    def _connect(self, limit: float) -> Grid:
        while True:
            try:
                return Grid(self.address, self.keys, "tests")
            except Exception:
                assert time.monotonic() < limit, "the scheduler did not come up"

    def find_worker(self, word: str) -> str:
        """The name of the worker below which a process has the word on its command line."""
        pids = {process.pid: name for name, process in self._processes.items()}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                at = folder if word.encode() in (folder / "cmdline").read_bytes() else None
                while at is not None and at.name not in ("0", "1"):
                    if int(at.name) in pids:
                        return pids[int(at.name)]
                    at = at.parent / (at / "stat").read_text().rpartition(")")[2].split()[1]
        raise AssertionError(f"no worker has {word!r} below it")

    def kill(self, name: str) -> None:
        """As a machine that loses its power does it: without a word."""
        self._processes[name].kill()
        self._processes[name].wait()

    def close(self) -> None:
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            process.wait(60)
        self._log.close()

    def _start(self, name: str, words: list[str]) -> None:
        self._processes[name] = subprocess.Popen(
            [*LAB, *words], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            env=self._env, process_group=0,
        )  # fmt: skip


@contextmanager
def local_cluster(folder: Path, env: Mapping[str, str]) -> Iterator[LocalCluster]:
    cluster = LocalCluster(folder, env)
    try:
        yield cluster
    finally:
        cluster.close()


class FakeQemu:
    """A program that writes a console as a guest would, in two parts.

    Native guests are clean, dom0 corrupts. Those of a kind that is held wait between the parts.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.path = folder / "qemu-system-x86_64"
        clean = console(nonce=NONCE, xen="none")
        bad = console(nonce=NONCE, xen="pv", dom0=1, corruptions=50, hits=40, windows=100)
        for name, content in (("native", clean), ("dom0", bad)):
            cut = content.rindex(b"\n@mmx", 0, content.index(b" progress t="))
            (folder / f"{name}.1").write_bytes(content[:cut])
            (folder / f"{name}.2").write_bytes(content[cut:])
        self.path.write_text(_SCRIPT.format(folder=folder))
        self.path.chmod(0o755)

    @contextmanager
    def held(self, kind: str) -> Iterator[None]:
        """In the block such guests come no further than their first part."""
        hold = self.path.with_name(f"{kind}.hold")
        hold.touch()
        try:
            yield
        finally:
            hold.unlink()


_SCRIPT = """#!/bin/sh
case "$*" in *-kernel*) ;; *) echo "QEMU emulator version 7.2.0"; exit;; esac
case "$*" in *"-kernel xen"*) kind=dom0;; *) kind=native;; esac
cat {folder}/$kind.1 > console.log
while [ -e {folder}/$kind.hold ]; do sleep 0.1; done
cat {folder}/$kind.2 >> console.log
exec sleep 60
"""
