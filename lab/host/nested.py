"""The nested Xen host: a libvirt domain with Xen and dom0 in it.

A host that a controller left running is found again by the next one; else it is resumed from the
state that was saved after an earlier boot (lab/host/saved.py), else booted. Only one process at a
time may hold the host's folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from lab.console import text as consoletext
from lab.errors import LabError
from lab.host.plan import HostPlan
from lab.host.saved import SavedHost, saved_host
from lab.host.shell import Address, Shell, answers, free_port
from lab.host.virt import Domains
from lab.system.cache import cache_dir
from lab.system.deadline import Deadline
from lab.system.files import sha256_of, write_atomic
from lab.system.process import run

PREFIX = "xen-fpu-lab-"  # of the domain's name
READY_SECONDS = 300.0
_RESUME_SECONDS = 60.0  # it takes two; a machine that is busy with builds gets more
NONCE = "/run/lab-nonce"  # in dom0's memory: gone when dom0 is another one


class NestedHost:
    """Made without side effects; ``start`` boots it or takes over a healthy running one."""

    def __init__(self, plan: HostPlan, folder: Path | None = None) -> None:
        self.plan = plan
        self.folder = folder or cache_dir() / "host"
        self.shell: Shell | None = None
        self.reused = False
        self.seconds: dict[str, float] = {}  # how long what ``start`` did took, by its name
        self._lock: IO[str] | None = None
        self._domains = Domains(plan.libvirt_uri, self.folder / "libvirt")

    @property
    def name(self) -> str:
        """The domain's name: one for each state folder, so that labs can share a libvirt."""
        return PREFIX + sha256_of(str(self.folder))[:8]

    @property
    def console(self) -> Path:
        """Xen's and dom0's console, from the first byte of this boot."""
        return self.folder / "console.log"

    def start(
        self,
        deadline: Deadline,
        report: Callable[[str], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Until Xen answers `xl info` over ssh and is the one that we started.

        ``stopped`` is asked while waiting: true gives up, with a LabError.
        """
        self._hold()
        state = self._state()
        if self._domains.active(self.name) and state.get("identity") == self.plan.identity():
            report("taking over the running host")
            with contextlib.suppress(LabError), self._timed("taken over"):
                self._await_ready(state, deadline.at_most(30), stopped, self.check)
                self.reused = True
                return
        self._remove()
        saved = self.saved()
        if saved is not None and saved.exists() and self._resumed(saved, report, stopped):
            return
        with self._timed("booted"):
            state = self._create(report)
            report("booting Xen and dom0")
            self._await_ready(state, deadline, stopped, self._renew)
        if saved is not None and not saved.exists() and not saved.refused():
            self._keep_state(saved, report, deadline, stopped)

    def check(self) -> dict[str, str]:
        """`xl info` of the running host; LabError unless it is the Xen that we started."""
        return self._prove("", self._state())

    def keep(self) -> None:
        """Let the host outlive its controller on purpose, so that later runs leave it alone."""
        write_atomic(self.folder / "state.json", json.dumps({**self._state(), "kept": True}) + "\n")

    @property
    def kept(self) -> bool:
        """False for a host that a killed controller left."""
        return bool(self._state().get("kept"))

    @property
    def held(self) -> bool:
        """Whether this process has the host's folder."""
        return self._lock is not None

    def stop(self) -> None:
        """End the host, whoever started it; nothing happens when none runs."""
        self._hold()
        self._remove()
        self.release()

    def release(self) -> None:
        """Let go of the host without ending it."""
        if self.shell is not None:
            self.shell.close()
            self.shell = None
        self._domains.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def running(self) -> bool:
        """Whether a host is there, healthy or not."""
        self._hold()
        return self._domains.active(self.name)

    def _hold(self) -> None:
        """Take the state folder for this process."""
        if self._lock is not None:
            return
        (self.folder / "libvirt").mkdir(parents=True, exist_ok=True)
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise LabError(
                f"another lab is using the nested host in {self.folder}: wait for it, "
                "or give this one its own cache by $LAB_CACHE"
            ) from None
        self._lock = lock

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads((self.folder / "state.json").read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _create(self, report: Callable[[str], None]) -> dict[str, Any]:
        report("creating the host")
        state = self._prepare(self.plan.image.disk, "raw", secrets.token_hex(6))
        self._domains.create(self._xml(state))
        return state

    def _prepare(self, disk: Path, kind: str, nonce: str) -> dict[str, Any]:
        """A new layer over ``disk``, a new console and a new state.json."""
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", kind, self._overlay])
        if self.console.exists():  # what a killed controller did not come to keep
            self.console.replace(self.folder / "console.previous.log")
        self.console.touch()
        state = {"identity": self.plan.identity(), "nonce": nonce, "port": free_port()}
        write_atomic(self.folder / "state.json", json.dumps(state) + "\n")
        return state

    def _xml(self, state: dict[str, Any]) -> str:
        xml = self.plan.xml(self.name, self.folder, state["nonce"], int(state["port"]))
        write_atomic(self.folder / "domain.xml", xml)
        return xml

    @property
    def _overlay(self) -> Path:
        return self.folder / "overlay.qcow2"

    def saved(self) -> SavedHost | None:
        """Where the state of this plan is or would be; None where states are not wanted."""
        if not self.plan.resume:
            return None
        return saved_host(self.plan, self.name, self.folder, self._domains.version())

    def _keep_state(
        self,
        saved: SavedHost,
        report: Callable[[str], None],
        deadline: Deadline,
        stopped: Callable[[], bool],
    ) -> None:
        """Save the fresh host and go on from what was saved; that it can not is no error."""
        report("saving its state for later runs")
        state = self._state()
        try:
            with self._timed("saved"):
                self._save(saved, state["nonce"])
        except LabError as error:
            report(f"its state could not be saved ({error})")
        if saved.exists() and self._resumed(saved, report, stopped):
            return
        if saved.exists() or not self._domains.active(self.name):
            self._remove()
            state = self._create(report)
            report("booting Xen and dom0")
        self._await_ready(state, deadline, stopped, self._renew)

    def _save(self, saved: SavedHost, nonce: str) -> None:
        assert self.shell is not None
        guests = self.shell.run(["xl", "list"]).splitlines()[2:]
        if guests:
            raise LabError(f"it has guests: {guests[0].split()[0]}")
        self.shell.run(["sync"])
        self.shell.close()
        facts = {"nonce": nonce, "made": time.time(), "identity": self.plan.identity()}
        saved.make(
            self._overlay, self.console, facts, lambda file: self._domains.save(self.name, file)
        )

    def _resumed(
        self, saved: SavedHost, report: Callable[[str], None], stopped: Callable[[], bool]
    ) -> bool:
        """Resume and prove that the host is healthy; False, with a word, when it is not."""
        report("resuming the saved host")
        try:
            with self._timed("resumed"):
                self._resume(saved, stopped)
            return True
        except LabError as error:
            if stopped():
                raise
            report(f"the saved host does not come back ({error}): booting it anew")
        if "booted" in self.seconds:  # the state is a minute old: another one would fare no better
            saved.refuse("it did not come back right after it was made")
        saved.remove()
        self._remove()
        return False

    def _resume(self, saved: SavedHost, stopped: Callable[[], bool]) -> None:
        facts = saved.facts()
        if not facts:
            raise LabError(f"{saved.folder}/facts.json can not be read")
        state = self._prepare(saved.overlay, "qcow2", str(facts["nonce"]))
        with self.console.open("wb") as console:  # QEMU appends
            console.write(saved.console.read_bytes())
            console.write(b"\nlab: what follows was said after the host was resumed\n")
        self._domains.restore(saved.memory, self._xml(state))
        self._await_ready(state, Deadline(_RESUME_SECONDS), stopped, self._renew, listens=True)

    def _renew(self) -> None:
        """Give dom0 the time, entropy of its own, and a word that only this start's dom0 knows;
        and the same proof as ``check``.
        """
        fresh = secrets.token_hex(16)
        state = {**self._state(), "fresh": fresh}
        self._prove(
            f"date -u -s @{time.time():.3f} >/dev/null && echo {fresh} >/dev/urandom "
            f"&& echo {fresh} >{NONCE} && ",
            state,
        )
        write_atomic(self.folder / "state.json", json.dumps(state) + "\n")

    def _prove(self, before: str, state: dict[str, Any]) -> dict[str, str]:
        """One command does it all: each costs a few tenths of a second under emulation."""
        if self.shell is None:
            raise LabError("the Xen host is not started")
        said = self.shell.run(["sh", "-c", f"{before}cat {NONCE} && xl info"], timeout=30)
        info = xl_info(said)
        ours = f"lab={state.get('nonce', '?')}" in info.get("xen_commandline", "").split()
        if not ours or not said.startswith(f"{state.get('fresh', '?')}\n"):
            raise LabError(f"the host at {self.shell.address.port} is not the Xen that we started")
        return info

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[what] = round(time.monotonic() - began, 2)

    def _await_ready(
        self,
        state: dict[str, Any],
        deadline: Deadline,
        stopped: Callable[[], bool],
        prove: Callable[[], object],
        listens: bool = False,
    ) -> None:
        """Until ``prove`` raises no LabError; a panic on the console is told at once.

        ``listens``: the ssh server is known to be up, so it need not be probed first.
        """
        keys = self.plan.image.keys
        host_key = keys.public(keys.host)
        address = Address("127.0.0.1", int(state["port"]), "root", keys.identity, host_key)
        self.shell = Shell(address)
        last = "ssh does not answer"
        while True:
            died = consoletext.end_of_host(self.console.read_bytes())
            if died:
                raise LabError(f"the Xen host panicked: {died} (console: {self.console})")
            if stopped():
                raise LabError("interrupted while the Xen host was booting")
            if not self._domains.active(self.name):
                raise LabError(f"the Xen host stopped while booting (console: {self.console})")
            if listens or answers(address.port):
                try:
                    prove()
                    return
                except LabError as error:
                    last, listens = str(error), False
            if deadline.expired:
                raise LabError(
                    f"the Xen host was not ready after {deadline.seconds:.0f} s: {last}; "
                    f"console {self.console} ends: {consoletext.tail(self.console.read_bytes(), 1)}"
                )
            time.sleep(min(0.1, deadline.remaining()))

    def _remove(self) -> None:
        """End our domain, and a QEMU of ours that libvirt has lost sight of."""
        self._domains.destroy(self.name)
        for pid in strays(self.name):
            with contextlib.suppress(OSError):
                os.kill(pid, 9)
        # The overlay is made anew: whoever has it open must be gone.
        Deadline(20).wait_for(lambda: not strays(self.name), "the old host's QEMU to end")


def xl_info(said: str) -> dict[str, str]:
    """What `xl info` said, as a mapping."""
    pairs = (line.split(":", 1) for line in said.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def strays(name: str) -> list[int]:
    """QEMU processes of a domain, as their command lines tell."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            if f"guest={name}," in words:
                found.append(int(process.name))
    return found
