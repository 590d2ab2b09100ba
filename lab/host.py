"""The nested Xen host: a libvirt domain with Xen and dom0 in it. The one owner of libvirt.

``qemu:///embed`` keeps its state in a folder and needs no daemon; a host that a controller left
running is found again by the next one. Only one process at a time may hold the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lab import consoletext
from lab.deadline import Deadline
from lab.domainxml import HostSpec, domain_xml
from lab.domimage import Dom0Image
from lab.errors import LabError
from lab.files import cache_dir, sha256_of, write_atomic
from lab.process import run
from lab.remember import sha256
from lab.shell import Address, Shell

PREFIX = "xen-fpu-lab-"  # of the domain's name
READY_SECONDS = 300.0
DOM0_MIB = 1024
# One dom0 vCPU: the others stay free for guests.
_XEN_ARGS = (
    "console=com1 com1=115200,8n1 loglvl=info guest_loglvl=info "
    f"dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M dom0_max_vcpus=1"
)
_KERNEL_ARGS = "console=hvc0 root=/dev/sda ro net.ifnames=0 mitigations=off panic=5"
_QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
namespaces = []
cgroup_controllers = []
dynamic_ownership = 0
remember_owner = 0
"""
_PANICS = ("Panic on CPU", "Kernel panic - not syncing", "Hardware Dom0 crashed")


@dataclass(frozen=True)
class HostPlan:
    """What the nested host is started with. Sizes in MiB."""

    qemu: str
    accelerator: str
    memory_mib: int
    vcpus: int
    image: Dom0Image
    xen_args: str = ""
    libvirt_uri: str | None = None
    xen: Path | None = None  # a hypervisor other than the image's own

    @property
    def hypervisor(self) -> Path:
        return self.xen or self.image.xen

    def identity(self) -> str:
        """A running host started with another identity is not reused."""
        return sha256_of(
            self.qemu, self.accelerator, str(self.memory_mib), str(self.vcpus),
            str(self.image.folder), self.xen_args, _XEN_ARGS, _KERNEL_ARGS,
            sha256(self.hypervisor),
        )[:16]  # fmt: skip


class NestedHost:
    """Made without side effects; ``start`` boots it or takes over a healthy running one."""

    def __init__(self, plan: HostPlan, folder: Path | None = None) -> None:
        self.plan = plan
        self.folder = folder or cache_dir() / "host"
        self.shell: Shell | None = None
        self.reused = False
        self._lock: IO[str] | None = None
        self._libvirt: Any = None

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
        if self._active() and state.get("identity") == self.plan.identity():
            report("taking over the running host")
            with contextlib.suppress(LabError):
                self._await_ready(state, deadline.at_most(30), stopped)
                self.reused = True
                return
        self._remove()
        state = self._create(report)
        report("booting Xen and dom0")
        self._await_ready(state, deadline, stopped)

    def check(self) -> dict[str, str]:
        """`xl info` of the running host; LabError unless it is the Xen that we started."""
        if self.shell is None:
            raise LabError("the Xen host is not started")
        info = xl_info(self.shell)
        nonce = self._state().get("nonce", "?")
        if f"lab={nonce}" not in info.get("xen_commandline", ""):
            raise LabError(f"the host at {self.shell.address.port} is not the Xen that we started")
        return info

    def keep(self) -> None:
        """Let the host outlive its controller on purpose, so that later runs leave it alone."""
        write_atomic(self.folder / "state.json", json.dumps({**self._state(), "kept": True}) + "\n")

    @property
    def kept(self) -> bool:
        """False for a host that a killed controller left."""
        return bool(self._state().get("kept"))

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
        if self._libvirt is not None:
            self._libvirt.close()
            self._libvirt = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def running(self) -> bool:
        """Whether a host is there, healthy or not."""
        self._hold()
        return self._active()

    def _hold(self) -> None:
        """Take the state folder for this process."""
        if self._lock is not None:
            return
        (self.folder / "libvirt").mkdir(parents=True, exist_ok=True)
        # Libvirt reads this when its module is imported. Its warnings (a tainted domain, for one)
        # are not for a person's terminal.
        log = self.folder / "libvirt" / "libvirt.log"
        os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", f"3:file:{log}")
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

    def _connection(self) -> Any:
        if self._libvirt is None:
            self._libvirt = connect(self.plan.libvirt_uri, self.folder / "libvirt")
        return self._libvirt

    def _active(self) -> bool:
        return any(domain.name() == self.name for domain in self._connection().listAllDomains())

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads((self.folder / "state.json").read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def _create(self, report: Callable[[str], None]) -> dict[str, Any]:
        report("creating the host")
        overlay = self.folder / "overlay.qcow2"
        base = ["-b", str(self.plan.image.disk), "-F", "raw"]
        run(["qemu-img", "create", "-q", "-f", "qcow2", *base, overlay])
        if self.console.exists():  # what a killed controller did not come to keep
            self.console.replace(self.folder / "console.previous.log")
        self.console.touch()
        state = {"identity": self.plan.identity(), "nonce": secrets.token_hex(6),
                 "port": free_port()}  # fmt: skip
        write_atomic(self.folder / "state.json", json.dumps(state) + "\n")
        xml = domain_xml(self._spec(state, overlay))
        write_atomic(self.folder / "domain.xml", xml)
        import libvirt

        try:
            self._connection().createXML(xml, 0)
        except libvirt.libvirtError as error:
            raise LabError(f"libvirt could not start the Xen host: {error}") from error
        return state

    def _spec(self, state: dict[str, Any], overlay: Path) -> HostSpec:
        plan = self.plan
        return HostSpec(
            name=self.name, emulator=plan.qemu, accelerator=plan.accelerator,
            memory_mib=plan.memory_mib, vcpus=plan.vcpus, xen=plan.hypervisor,
            # Xen passes over a word that it does not know; xl info shows it.
            xen_args=f"{_XEN_ARGS} lab={state['nonce']} {plan.xen_args}".strip(),
            kernel=plan.image.kernel, kernel_args=_KERNEL_ARGS, ramdisk=plan.image.ramdisk,
            disk=overlay, console=self.console, ssh_port=int(state["port"]),
        )  # fmt: skip

    def _await_ready(
        self, state: dict[str, Any], deadline: Deadline, stopped: Callable[[], bool]
    ) -> None:
        """Poll ssh, and the console for a panic, which is told at once."""
        keys = self.plan.image.keys
        host_key = keys.public(keys.host)
        address = Address("127.0.0.1", int(state["port"]), "root", keys.identity, host_key)
        self.shell = Shell(address)
        last = "ssh does not answer"
        while True:
            died = panic(self.console.read_bytes())
            if died:
                raise LabError(f"the Xen host panicked: {died} (console: {self.console})")
            if stopped():
                raise LabError("interrupted while the Xen host was booting")
            if not self._active():
                raise LabError(f"the Xen host stopped while booting (console: {self.console})")
            if answers(address.port):
                try:
                    self.check()
                    return
                except LabError as error:
                    last = str(error)
            if deadline.expired:
                raise LabError(
                    f"the Xen host was not ready after {deadline.seconds:.0f} s: {last}; "
                    f"console {self.console} ends: {consoletext.tail(self.console.read_bytes(), 1)}"
                )
            time.sleep(min(0.5, deadline.remaining()))

    def _remove(self) -> None:
        """End our domain, and a QEMU of ours that libvirt has lost sight of."""
        import libvirt

        for domain in self._connection().listAllDomains():
            if domain.name() == self.name:
                with contextlib.suppress(libvirt.libvirtError):
                    domain.destroy()
        for pid in strays(self.name):
            with contextlib.suppress(OSError):
                os.kill(pid, 9)
        # The overlay is made anew: whoever has it open must be gone.
        Deadline(20).wait_for(lambda: not strays(self.name), "the old host's QEMU to end")


def connect(uri: str | None, root: Path) -> Any:
    """A libvirt connection; by default the embedded driver with its state under ``root``.

    A process can open the embedded driver for one folder only, and holds it until it ends.
    """
    root.mkdir(parents=True, exist_ok=True)
    try:
        import libvirt
    except ImportError as error:
        raise LabError(f"libvirt's Python module is missing ({error}): run ./setup.sh") from error
    if uri is None:
        (root / "etc").mkdir(exist_ok=True)
        owner = 'user = "root"\ngroup = "root"\n' if os.geteuid() == 0 else ""
        write_atomic(root / "etc" / "qemu.conf", _QEMU_CONF + owner)
        uri = f"qemu:///embed?root={root}"
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    _event_loop(libvirt)
    try:
        return libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise LabError(f"libvirt does not open {uri}: {error}; see {root}/libvirt.log") from error


_loop_lock = threading.Lock()
_loop_runs = False


def _event_loop(libvirt: Any) -> None:
    """The embedded driver needs a running event loop in its process; one, before any open."""
    global _loop_runs
    with _loop_lock:
        if _loop_runs:
            return
        libvirt.virEventRegisterDefaultImpl()

        def loop() -> None:
            while True:
                libvirt.virEventRunDefaultImpl()

        threading.Thread(target=loop, daemon=True, name="libvirt").start()
        _loop_runs = True


def xl_info(shell: Shell) -> dict[str, str]:
    """`xl info` as a mapping; LabError when there is no Xen behind the shell."""
    lines = shell.run(["xl", "info"], timeout=30).splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def panic(console: bytes) -> str | None:
    """The line in which Xen or dom0 says that it died."""
    for line in consoletext.clean(console).splitlines():
        if any(word in line for word in _PANICS):
            return line.strip()[:200]
    return None


def free_port() -> int:
    """A TCP port that nothing listens on now, on the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether an ssh server greets at a port; QEMU accepts before the host listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.settimeout(5)
            return probe.recv(4) == b"SSH-"
    except OSError:
        return False


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
