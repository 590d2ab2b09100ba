"""The Xen host as a run uses it: nested or real, its guests' place, and its evidence."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.config.lab import LabConfig
from lab.errors import LabError, UserError
from lab.evidence.run import RunFolder
from lab.host import guest
from lab.host.guest import GuestSpec
from lab.report.board import Board
from lab.supplies.gather import Supplies
from lab.system.deadline import Deadline
from lab.system.files import write_atomic
from lab.verdict.trial import Ending

if TYPE_CHECKING:
    from lab.host.nested import NestedHost
    from lab.host.shell import Address, Shell
    from lab.trial.trial import Assignment

ROW = "Xen host"


def nested_host(config: LabConfig, supplies: Supplies, xen: str = "") -> NestedHost:
    """The managed host for a configuration, with a Xen by name; nothing is started."""
    from lab.host.nested import NestedHost
    from lab.host.plan import HostPlan

    if supplies.image is None:
        raise LabError("the dom0 image was not made")
    found = supplies.hypervisor(xen)
    return NestedHost(
        HostPlan(
            qemu=str(supplies.qemu.path),
            accelerator=supplies.accel.name,
            memory_mib=config.host.memory_mib,
            vcpus=config.host.vcpus,
            image=supplies.image,
            xen_args=config.xens[xen].args if xen else config.xen.args,
            xen=found.image if found and (xen or not config.xen.packaged) else None,
            libvirt_uri=config.host.libvirt_uri,
            resume=config.host.resume,
        )
    )


@dataclass
class XenHost:
    """A run's host: started when the first guest needs it, its evidence kept in the run."""

    config: LabConfig
    supplies: Supplies
    run: RunFolder
    board: Board
    stop_asked: threading.Event
    xen: str = ""  # a name from xens

    def __post_init__(self) -> None:
        self._nested: NestedHost | None = None
        self._real: Shell | None = None
        self._shared = threading.Lock()  # of the host's own shell: one guest's at a time
        self._checking = threading.Lock()

    @property
    def _row(self) -> str:
        return f"{ROW} {self.xen}".strip()

    @property
    def evidence(self) -> Path:
        """host/ of the run's folder; a named Xen has its own folder in it."""
        folder = self.run.host / self.xen
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def emulated(self) -> bool:
        """Whether guests see an emulated processor, with what its SVM can not do."""
        return self.config.host.kind == "nested" and self.supplies.accel.name == "tcg"

    @property
    def shell(self) -> Shell:
        shell = self._real or (self._nested.shell if self._nested else None)
        if shell is None:
            raise LabError("the Xen host is not started")
        return shell

    @contextlib.contextmanager
    def own_shell(self) -> Iterator[Shell]:
        """A shell for one guest: with several at once, one's trouble must not cut off another.

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

        if self.config.host.kind == "real":
            from lab.host.shell import Shell
            from playbooks.prepare import ready

            self._real = Shell(_address(self.config))
            ready(self._real)
            self.board.done(ROW, None, "connected", None)
            return
        self._nested = nested_host(self.config, self.supplies, self.xen)
        try:
            self._nested.start(
                Deadline(nested.READY_SECONDS),
                lambda state: self.board.state(self._row, state),
                self.stop_asked.is_set,
            )
        finally:
            self._keep_console()
        if self._nested.reused:
            guest.destroy_leftovers(self.shell)
        for what, seconds in self._nested.seconds.items():
            self.run.time(f"{self._row} {what}", seconds)
        self.board.done(self._row, None, "ready", None)

    def check(self) -> None:
        """Before each guest: it is still the Xen that we started."""
        if self._nested is not None:
            with self._checking:
                self._nested.check()

    def collect(self) -> None:
        """Xen's own words into the run's folder; what can not be had is said there."""
        from playbooks.collect import collect

        with contextlib.suppress(LabError):
            collect(self.shell, self.evidence)

    def stop(self, keep: bool) -> None:
        """End a nested host unless somebody asked to keep it; its console stays in the run."""
        if self._nested is not None and self._nested.held:  # not one that another lab uses
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
        if self._nested is not None and self._nested.console.is_file():
            content = self._nested.console.read_bytes()
            write_atomic(self.evidence / "xen-console.log", content)
            domain = self._nested.folder / "domain.xml"
            if domain.is_file():
                shutil.copy(domain, self.evidence / "domain.xml")


class HostPlace:
    """The place of pv, pvh and hvm cells: a guest on the Xen host."""

    def __init__(self, host: XenHost) -> None:
        self._host = host

    def _spec(self, task: Assignment, kernel: str, ramdisk: str) -> GuestSpec:
        return GuestSpec(
            # Names are one for each host, and two labs may share a real one.
            name=f"{guest.PREFIX}{task.cell.id}-{task.nonce}",
            kind=task.cell.guest,
            kernel=kernel,
            ramdisk=ramdisk,
            args=task.args,
            vcpus=task.cell.vcpus,
            memory_mib=task.memory_mib,
            native_tsc=self._host.emulated,
            console=task.console,
        )

    def describe(self, task: Assignment, _console: Path) -> dict[str, Any]:
        spec = self._spec(task, str(task.kernel), str(task.ramdisk))
        return {"place": "Xen host", "xl": guest.xl_config(spec).splitlines()}

    def boot(self, task: Assignment, console: Path, board: Board, stop: threading.Event) -> Ending:
        self._host.check()
        with self._host.own_shell() as shell:
            return self._boot(shell, task, console, board, stop)

    def _boot(
        self, shell: Shell, task: Assignment, console: Path, board: Board, stop: threading.Event
    ) -> Ending:
        from lab.trial.trial import show

        board.boot(task.cell.id, task.trial, "copying the kernel")
        kernel, ramdisk = (guest.upload(shell, path) for path in (task.kernel, task.ramdisk))
        board.boot(task.cell.id, task.trial, "booting")
        return guest.run_guest(
            shell,
            self._spec(task, kernel, ramdisk),
            console,
            task.deadline,
            lambda look: show(board, task, look),
            stop,
        )


def _address(config: LabConfig) -> Address:
    from lab.host.shell import Address

    host = config.host
    identity = host.identity or Path("~/.ssh/id_ed25519")
    path = identity.expanduser()
    if not path.is_file():
        raise UserError(f"host.identity: there is no private key {path}")
    if not os.access(path, os.R_OK):
        raise UserError(f"host.identity: {path} is not readable")
    assert host.address is not None
    assert host.host_key is not None
    return Address(host.address, host.port, host.user, path, host.host_key)
