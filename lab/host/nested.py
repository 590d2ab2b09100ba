# SPDX-License-Identifier: GPL-2.0-or-later
"""The nested Xen host: a libvirt domain with Xen and dom0 in it, and its life.

A host that a controller left running is found again by the next one; else it is resumed from the
state that was saved after an earlier boot (lab/host/saved.py), else booted.
"""

from __future__ import annotations

import contextlib
import enum
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from lab.errors import LabError
from lab.host import ready
from lab.host.address import Address
from lab.host.plan import HostPlan
from lab.host.ready import Waiting, Watched
from lab.host.saved import SavedHost, find_saved
from lab.host.shell import Shell, free_port
from lab.host.state import HostFolder, HostState
from lab.host.virt import Domains
from lab.system.cache import cache_dir
from lab.system.deadline import Deadline
from lab.system.files import sha256_of, write_atomic

PREFIX = "xen-fpu-lab-"  # of the domain's name
READY_SECONDS = {"tcg": 300.0, "kvm": 120.0}  # by accelerator
_TAKE_OVER_SECONDS = 30.0
_RESUME_SECONDS = 60.0  # it takes two; a machine that is busy with builds gets more


class Step(enum.StrEnum):
    """What a start can consist of."""

    TAKEN_OVER = "taken over"
    RESUMED = "resumed"
    BOOTED = "booted"
    SAVED = "saved"


class NestedHost:
    """Made without side effects; ``start`` boots it or takes over a healthy running one."""

    def __init__(self, plan: HostPlan, folder: Path | None = None) -> None:
        self.plan = plan
        self.folder = HostFolder(folder or cache_dir() / "host")
        self.shell: Shell | None = None
        self.seconds: dict[Step, float] = {}  # how long what ``start`` did took
        self._domains = Domains(plan.libvirt_uri, self.folder.libvirt)

    @property
    def name(self) -> str:
        """The domain's name: one for each folder, so that labs can share a libvirt."""
        return PREFIX + sha256_of(str(self.folder.path))[:8]

    def start(
        self,
        deadline: Deadline,
        report: Callable[[str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Until Xen answers `xl info` over ssh and is the one that we started.

        ``stopped`` is asked while waiting: true gives up, with a LabError.
        """
        waiting = Waiting(deadline, report, stopped)
        self.seconds = {}
        self.folder.hold()
        if self._take_over(waiting):
            return
        self._remove()
        saved = self.find_saved()
        if self._resume(saved, waiting):
            return
        with self._timed(Step.BOOTED):
            self._boot(waiting)
        self._save(saved, waiting)

    @property
    def taken_over(self) -> bool:
        """Whether ``start`` found it running."""
        return Step.TAKEN_OVER in self.seconds

    def check(self) -> dict[str, str]:
        """`xl info` of the running host; LabError unless it is the Xen that we started."""
        return ready.check(self.shell, self.folder.read())

    def keep(self) -> None:
        """Let the host outlive its controller on purpose, so that later runs leave it alone."""
        state = self.folder.read()
        if state is not None:
            self.folder.write(replace(state, kept=True))

    @property
    def kept(self) -> bool:
        """False for a host that a killed controller left."""
        state = self.folder.read()
        return state is not None and state.kept

    def stop(self) -> None:
        """End the host, also one that another process started; does nothing when no host runs."""
        self.folder.hold()
        self._remove()
        self.release()

    def release(self) -> None:
        """Release the host without ending it."""
        if self.shell is not None:
            self.shell.close()
            self.shell = None
        self._domains.close()
        self.folder.release()

    def running(self) -> bool:
        """Whether a host is there, healthy or not."""
        self.folder.hold()
        return self._domains.active(self.name)

    def find_saved(self) -> SavedHost | None:
        """Where the state of this plan is or would be; None where states are not wanted."""
        if not self.plan.resume:
            return None
        return find_saved(self.plan, self.name, self.folder, self._domains.version())

    def _take_over(self, waiting: Waiting) -> bool:
        """Use a running host of the same plan; False without one, or when it is not healthy."""
        state = self.folder.read()
        if state is None or state.identity != self.plan.identity():
            return False
        if not self._domains.active(self.name):
            return False
        waiting.report("taking over the running host")
        try:
            with self._timed(Step.TAKEN_OVER):
                self._watch(state).await_ready(self.check, waiting.at_most(_TAKE_OVER_SECONDS))
            return True
        except LabError:
            return False

    def _boot(self, waiting: Waiting) -> None:
        """Create the domain and wait until Xen and dom0 are up."""
        waiting.report("creating the host")
        state = self._begin(self.plan.image.disk, "raw", secrets.token_hex(6))
        self._domains.create(self._write_xml(state))
        waiting.report("booting Xen and dom0")
        self._await_renewed(state, waiting)

    def _save(self, saved: SavedHost | None, waiting: Waiting) -> None:
        """Save the fresh host, then resume it from there; a failure to save is not an error."""
        if saved is None or saved.exists() or saved.refused():
            return
        state = self.folder.read()
        assert state is not None
        waiting.report("saving its state for later runs")
        try:
            with self._timed(Step.SAVED):
                self._save_to(saved, state)
        except LabError as error:
            waiting.report(f"its state could not be saved ({error})")
        if self._resume(saved, waiting):
            return
        if self._domains.active(self.name):  # as it was: saving it failed early
            self._await_renewed(state, waiting)
        else:
            self._remove()
            self._boot(waiting)

    def _save_to(self, saved: SavedHost, state: HostState) -> None:
        assert self.shell is not None
        guests = self.shell.run(["xl", "list"]).splitlines()[2:]
        if guests:
            raise LabError(f"it has guests: {guests[0].split()[0]}")
        self.shell.run(["sync"])
        self.shell.close()
        facts = {"nonce": state.nonce, "made": time.time(), "identity": state.identity}
        saved.make(
            self.folder.overlay,
            self.folder.console,
            facts,
            lambda file: self._domains.save(self.name, file),
        )

    def _resume(self, saved: SavedHost | None, waiting: Waiting) -> bool:
        """Resume the saved state and prove that the host is healthy; False when it is not.

        A state that does not resume is removed, so that it is not tried again.
        """
        if saved is None or not saved.exists():
            return False
        waiting.report("resuming the saved host")
        try:
            with self._timed(Step.RESUMED):
                self._resume_from(saved, waiting)
            return True
        except LabError as error:
            if waiting.stopped():
                raise
            waiting.report(f"the saved host does not resume ({error}): booting it anew")
        if Step.BOOTED in self.seconds:  # it is a minute old: another one would fail too
            saved.refuse("it did not resume right after it was made")
        saved.remove()
        self._remove()
        return False

    def _resume_from(self, saved: SavedHost, waiting: Waiting) -> None:
        facts = saved.facts()
        if not facts:
            raise LabError(f"{saved.folder}/facts.json cannot be read")
        state = self._begin(saved.overlay, "qcow2", str(facts["nonce"]))
        with self.folder.console.open("wb") as console:  # QEMU appends
            console.write(saved.console.read_bytes())
            console.write(b"\nlab: what follows was said after the host was resumed\n")
        self._domains.restore(saved.memory, self._write_xml(state))
        own = replace(waiting, deadline=Deadline(_RESUME_SECONDS))
        self._await_renewed(state, own, listens=True)

    def _begin(self, disk: Path, kind: str, nonce: str) -> HostState:
        state = HostState(self.plan.identity(), nonce, free_port())
        self.folder.begin(state, disk, kind)
        return state

    def _write_xml(self, state: HostState) -> str:
        xml = self.plan.xml(self.name, self.folder, state.nonce, state.port)
        write_atomic(self.folder.domain, xml)
        return xml

    def _watch(self, state: HostState) -> Watched:
        """Open a shell to the host, also for the wait until it is ready."""
        keys = self.plan.image.keys
        address = Address("127.0.0.1", state.port, "root", keys.identity, keys.public(keys.host))
        self.shell = Shell(address)
        return Watched(self.shell, self.folder.console, lambda: self._domains.active(self.name))

    def _await_renewed(self, state: HostState, waiting: Waiting, listens: bool = False) -> None:
        """Until dom0 is ready and has been given what makes it this start's own."""

        def prove() -> None:
            self.folder.write(ready.renew(self.shell, state))

        self._watch(state).await_ready(prove, waiting, listens)

    @contextlib.contextmanager
    def _timed(self, step: Step) -> Iterator[None]:
        """A step that is done when the block is; one that raises is not."""
        began = time.monotonic()
        yield
        self.seconds[step] = round(time.monotonic() - began, 2)

    def _remove(self) -> None:
        """End our domain, and a QEMU of ours that libvirt has lost sight of."""
        self._domains.destroy(self.name)
        for pid in strays(self.name):
            with contextlib.suppress(OSError):
                os.kill(pid, 9)
        # The overlay is made anew: no process may have the old one open.
        Deadline(20).wait_for(lambda: not strays(self.name), "the old host's QEMU to end")


def strays(name: str) -> list[int]:
    """QEMU processes of a domain, by their command lines."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            if f"guest={name}," in words:
                found.append(int(process.name))
    return found
