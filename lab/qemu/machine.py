"""One QEMU for one trial: the native and dom0 kinds, which need no host image."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.console import text as consoletext
from lab.console.watch import Ending, Glance, Watch
from lab.qemu import icount as determinism
from lab.system.deadline import Deadline

# A PV dom0 dies under QEMU 7.2's SMAP (a #PF in Xen's bounce frame); both kinds get one model.
TCG_CPU = "max,-smap,-smep"
_POLL = 0.03  # a look at the console's size: microseconds


@dataclass(frozen=True)
class Boot:
    """What a machine boots. ``args`` are the kernel's; memory in MiB is the guest's own."""

    qemu: str
    accelerator: str  # kvm or tcg
    kernel: Path
    ramdisk: Path
    args: str
    vcpus: int
    memory_mib: int
    xen: Path | None = None  # given: the kernel is dom0 on this hypervisor
    xen_args: str = ""
    icount: int | None = None  # given: deterministic, 2^icount ns of guest time an instruction


def command(boot: Boot, console: Path) -> list[str]:
    """QEMU's command line: pure. No network, no disk, one serial port into a file."""
    memory = boot.memory_mib if boot.xen is None else boot.memory_mib + 256
    base = [
        boot.qemu, "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none", "-nic", "none",
        "-accel", boot.accelerator,
        "-cpu", _cpu(boot),
        "-smp", str(boot.vcpus),
        "-m", str(memory),
        "-chardev", f"file,id=console,path={_doubled(str(console))}",
        "-serial", "chardev:console",
    ]  # fmt: skip
    if boot.icount is not None:
        base += determinism.options(boot.icount)
    if boot.xen is None:
        args = f"console=ttyS0 {boot.args}".strip()
        return [*base, "-kernel", str(boot.kernel), "-initrd", str(boot.ramdisk), "-append", args]
    modules = f"{boot.kernel} console=hvc0 {boot.args}".strip()
    return [
        *base,
        "-kernel", str(boot.xen),
        "-append", xen_args(boot),
        "-initrd", f"{_doubled(modules)},{_doubled(str(boot.ramdisk))}",
    ]  # fmt: skip


@contextlib.contextmanager
def staged(boot: Boot) -> Iterator[tuple[Boot, Path]]:
    """The same boot with its files under fixed names in a folder to start QEMU in.

    Xen's boot modules carry the file names that QEMU was given: a longer path takes the guest
    a few instructions more to copy, and a deterministic console then differs by nanoseconds.
    """
    with tempfile.TemporaryDirectory(prefix="lab-boot-") as name:
        folder = Path(name)
        for member, path in members(boot).items():
            (folder / member).symlink_to(path.absolute())
        yield portable(boot), folder


def portable(boot: Boot) -> Boot:
    """The boot with its members' names for paths: pure."""
    xen = Path("xen") if boot.xen is not None else None
    return replace(boot, kernel=Path("kernel"), ramdisk=Path("ramdisk"), xen=xen)


def members(boot: Boot) -> dict[str, Path]:
    """What a machine boots, by the names that ``portable`` gives them."""
    found = {"kernel": boot.kernel, "ramdisk": boot.ramdisk}
    return found if boot.xen is None else {**found, "xen": boot.xen}


def xen_args(boot: Boot) -> str:
    """Xen's command line. Its own messages share the serial port with dom0's console."""
    fixed = (
        f"console=com1 com1=115200,8n1 dom0_mem={boot.memory_mib}M,max:{boot.memory_mib}M "
        f"dom0_max_vcpus={boot.vcpus} noreboot=0"
    )
    ours = determinism.XEN_ARGS if boot.icount is not None else ""
    return " ".join(word for word in (fixed, ours, boot.xen_args) if word)


def _cpu(boot: Boot) -> str:
    if boot.accelerator != "tcg":
        return "host"
    return TCG_CPU if boot.icount is None else f"{TCG_CPU},{determinism.CPU}"


def _doubled(text: str) -> str:
    """QEMU reads a comma as a separator; two stand for one."""
    return text.replace(",", ",,")


def run(
    argv: Sequence[str],
    console: Path,
    deadline: Deadline,
    seen: Callable[[Glance], None],
    stop: threading.Event,
    to_power_off: bool = False,
    folder: Path | None = None,
) -> Ending:
    """Boot and watch the console file until the program's last record, a death or the deadline.

    ``seen`` gets a look at every growth of the console. ``to_power_off``: after the last record
    wait for the machine to power itself off, so that the console ends where the guest ends it.
    ``folder``: where to start QEMU, for a command line of ``staged`` names.
    QEMU dies with the controller (setpriv), and never outlives this call.
    """
    watched = Watch(deadline, seen, stop)
    console.touch()
    log = console.with_name("qemu.log")
    with log.open("wb") as errors:
        try:
            # PR_SET_PDEATHSIG through setpriv: a killed controller leaves no QEMU behind.
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *argv],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=folder,
            )  # fmt: skip
        except OSError as error:
            return Ending("lab_error", f"QEMU could not be started: {error}")
        try:
            how = _watch(process, console, watched, to_power_off)
            code = process.poll()
        finally:
            _end(process)
    if how == "exited" and code != 0:
        said = consoletext.tail(log.read_bytes(), 1)
        return Ending("lab_error", f"QEMU failed: {said or code}", watched.seconds())
    return Ending(how, "", watched.seconds(), watched.booted)


def run_exactly(
    boot: Boot,
    console: Path,
    deadline: Deadline,
    seen: Callable[[Glance], None],
    stop: threading.Event,
    record: Path | None = None,
    options: Sequence[str] = (),
) -> Ending:
    """Run a deterministic boot to its power off; its console is the same everywhere.

    ``record``: a file for the log of its execution, which a debugger's replay needs.
    ``options``: more of QEMU's.
    """
    with staged(boot) as (again, folder):
        argv = [*command(again, console.absolute()), *options]
        if record is not None:
            argv = determinism.recording(argv, "record", record)
        return run(argv, console, deadline, seen, stop, to_power_off=True, folder=folder)


def _watch(
    process: subprocess.Popen[bytes], console: Path, watched: Watch, to_power_off: bool
) -> str:
    size, finished = 0, False
    while True:
        exited = process.poll() is not None
        if console.stat().st_size != size:
            content = console.read_bytes()
            size = len(content)
            finished = watched.grew(content) or finished
            if finished and not to_power_off:
                return "finished"
        if exited:
            return "finished" if finished else "exited"
        given_up = watched.find_reason_to_stop()
        if given_up:
            return given_up
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
