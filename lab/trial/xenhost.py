# SPDX-License-Identifier: GPL-2.0-or-later
"""The Xen host as a run uses it: nested or real, with its evidence."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.config.lab import LabConfig
from lab.errors import LabError
from lab.host import guest
from lab.supplies.gather import Supplies
from lab.system.deadline import Deadline
from lab.system.files import write_atomic
from lab.trial.job import Job

if TYPE_CHECKING:
    from lab.host.nested import NestedHost
    from lab.host.shell import Shell

ROW = "Xen host"


def nested_host(config: LabConfig, supplies: Supplies, xen: str = "", name: str = "") -> NestedHost:
    """The managed host for a configuration, with a Xen by name; nothing is started.

    ``name``: of a nested host, from hosts.
    """
    from lab.host.nested import NestedHost
    from lab.host.plan import HostPlan

    if supplies.image is None:
        raise LabError("the dom0 image was not made")
    found = supplies.hypervisor(xen)
    host = config.host_of(name)
    return NestedHost(
        HostPlan(
            qemu=str(supplies.qemu.path),
            accelerator=supplies.accel.name,
            memory_mib=host.memory_mib,
            vcpus=host.vcpus,
            image=supplies.image,
            xen_args=config.xen_of(xen).args,
            xen=found.image if found and (xen or not config.xen.packaged) else None,
            libvirt_uri=host.libvirt_uri,
            resume=host.resume,
            without=supplies.accel.without,
        )
    )


@dataclass
class XenHost:
    """A run's host: started when the first guest needs it, its evidence kept in the run."""

    job: Job
    xen: str = ""  # a name from xens
    name: str = ""  # from hosts; the one under host otherwise

    def __post_init__(self) -> None:
        self._nested: NestedHost | None = None
        self._real: Shell | None = None
        self._shared = threading.Lock()  # the host's own shell, for one guest at a time
        self._checking = threading.Lock()

    @property
    def _row(self) -> str:
        return " ".join(word for word in (ROW, self.name, self.xen) if word)

    @property
    def evidence(self) -> Path:
        """host/ of the run's folder; a named host has its own folder in it, and a named Xen."""
        folder = self.job.folder.host / (f"@{self.name}" if self.name else "") / self.xen
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def shell(self) -> Shell:
        shell = self._real or (self._nested.shell if self._nested else None)
        if shell is None:
            raise LabError("the Xen host is not started")
        return shell

    @contextlib.contextmanager
    def own_shell(self) -> Iterator[Shell]:
        """A shell for one guest: a failure of one must not disconnect another.

        The first of them has the host's, which is connected already.
        """
        if self._shared.acquire(blocking=False):
            try:
                yield self.shell
            finally:
                self._shared.release()
            return
        from lab.host.shell import Shell

        shell = Shell(self.shell.address)
        try:
            yield shell
        finally:
            shell.close()

    def start(self) -> None:
        """Boot it or connect to it; LabError with the reason when it does not become ready."""
        from lab.host import nested

        if self.job.config.kind_of(self.name) == "real":
            from lab.host.address import find_address
            from lab.host.shell import Shell
            from playbooks.prepare import make_ready

            self._real = Shell(find_address(self.job.config.host_of(self.name)))
            make_ready(self._real)
            self.job.board.finish(self._row, None, "connected", None)
            return
        self._nested = nested_host(self.job.config, self.job.supplies, self.xen, self.name)
        try:
            self._nested.start(
                Deadline(nested.READY_SECONDS[self.job.supplies.accel.name]),
                lambda state: self.job.board.state(self._row, state),
                self.job.stop.is_set,
            )
        finally:
            self._keep_console()
        if self._nested.taken_over:
            guest.destroy_leftovers(self.shell)
        for what, seconds in self._nested.seconds.items():
            self.job.folder.time(f"{self._row} {what}", seconds)
        self.job.board.finish(self._row, None, "ready", None)

    def check(self) -> None:
        """LabError unless it is still the Xen that we started; called before each guest."""
        if self._nested is not None:
            with self._checking:
                self._nested.check()

    def collect(self) -> None:
        """Xen's logs into the run's folder, with a note for each that is missing."""
        from playbooks.collect import collect

        with contextlib.suppress(LabError):
            collect(self.shell, self.evidence)

    def stop(self, keep: bool) -> None:
        """End a nested host unless it is to be kept; its console stays in the run's folder."""
        if self._nested is not None and self._nested.folder.held:  # not one that another lab uses
            self._keep_console()
            if keep:
                self._nested.keep()
            if self._nested.kept:
                self._nested.release()
            else:
                self._nested.stop()
                self._keep_console()
        if self._real is not None:
            self._real.close()

    def _keep_console(self) -> None:
        if self._nested is not None and self._nested.folder.console.is_file():
            content = self._nested.folder.console.read_bytes()
            write_atomic(self.evidence / "xen-console.log", content)
            domain = self._nested.folder.domain
            if domain.is_file():
                shutil.copy(domain, self.evidence / "domain.xml")
