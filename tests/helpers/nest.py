# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine with KVM on a machine without: QEMU emulates a processor with AMD's SVM.

The emulated machine (L1) boots Debian's kernel, loads its kvm-amd, and sees this machine's files
read-only over 9p. What a job starts in there with ``-accel kvm`` (L2) runs under real KVM. L1 is
flaky: it may hang or panic, and a hung one can only be ended from outside.

XSAVE is left out of L1's processor: under QEMU 7.2 XSETBV never exits to KVM. Without VGIF fewer
L1s hang. SMAP and SMEP are left out as in all emulation (lab/qemu/options.py).
"""

from __future__ import annotations

import gzip
import lzma
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.config.kernel import KernelConfig
from lab.console import text as consoletext
from lab.kernel.kernel import Kernel
from lab.kernel.resolve import resolve
from lab.qemu import machine
from lab.qemu.binary import program_of
from lab.system.process import filter_bytes, run
from tests.helpers.project import PROJECT

CPU = "max,-smap,-smep,-xsave,-vgif"
_MEMORY_MIB = 4096
_BUSYBOX = Path("/bin/busybox")  # Debian's busybox-static: L1's own shell
_FILES = ("virtio_pci", "9pnet_virtio", "9p")  # modules for its files
_KVM = ("kvm-amd",)
# It ends by a reboot, which ends QEMU. Below /run everything is L1's own, in its memory.
_INIT = """\
#!/bin/sh
mkdir -p /proc /sys /dev /root
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug
for module in $(cat /modules/order); do insmod /modules/$module; done
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose root /root
mount --rbind /proc /root/proc
mount --rbind /sys /root/sys
mount --rbind /dev /root/dev
mount -t tmpfs run /root/run
mkdir -p /root/run/job /root/run/tmp /root/run/home
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 job /root/run/job
cd /root
echo "nest: up"
chroot /root env -i {environment} sh -c {command} >/root/run/job/output 2>&1
echo $? >/root/run/job/status
echo "nest: ended"
reboot -f
"""


@dataclass(frozen=True)
class Nest:
    """What L1 boots, and with which QEMU. ``modules`` are kvm-amd and its own, in their order."""

    qemu: Path
    kernel: Path
    modules: dict[str, bytes]
    files: dict[str, bytes]  # modules without which L1 sees no files


@dataclass(frozen=True)
class Limits:
    """When an L1 is given up, seconds: of a processor that it used, and without a sign of life."""

    cpu: float
    silence: float


@dataclass(frozen=True)
class Ended:
    """What became of one L1. ``lost``: why this try says nothing; empty when the job ended."""

    lost: str
    status: int | None = None


def build(qemu: Path) -> Nest:
    """Find L1's parts among what the lab already downloads; nothing is written."""
    found = resolve("debian", KernelConfig(package="linux-image-amd64"), lambda _state: None)
    tree = _tree(found.kernel)
    files = _with_dependencies(tree, _FILES)
    kvm = {name: ko for name, ko in _with_dependencies(tree, _KVM).items() if name not in files}
    return Nest(qemu, found.kernel.image, kvm, files)


def run_job(nest: Nest, folder: Path, job: Sequence[str], limits: Limits) -> Ended:
    """Boot an L1 that runs ``job`` (in the project's folder) and ends, or is ended in time.

    ``folder`` is the job's ``/run/job``: its files are there, and what it writes is there at
    once. It also gets kvm-amd's modules (``modules``), L1's console and what the job printed.
    The job touches ``beat`` there as long as it lives.
    """
    (folder / "modules").mkdir()
    for number, (name, content) in enumerate(nest.modules.items()):
        (folder / "modules" / f"{number:02}-{name}.ko").write_bytes(content)
    ramdisk, console = folder / "ramdisk", folder / "console.log"
    ramdisk.write_bytes(_ramdisk(nest, folder / "image", job))
    console.touch()
    with (folder / "qemu.log").open("wb") as log:
        process = machine.start(command(nest, ramdisk, folder, console), log)
        try:
            hung = _wait(process, (console, folder / "beat"), limits)
        finally:
            process.kill()
            process.wait()
    return _judge(folder, console.read_bytes(), hung)


def _wait(process: subprocess.Popen[bytes], signs: Sequence[Path], limits: Limits) -> str:
    """Until L1 ends; why it has to be ended otherwise, empty when it ended on its own."""
    began = time.time()
    while True:
        try:
            process.wait(1)
            return ""
        except subprocess.TimeoutExpired:
            used = _cpu_seconds(process.pid)
        seen = [sign.stat().st_mtime for sign in signs if sign.exists()]
        if time.time() - max([began, *seen]) > limits.silence:
            return f"it gave no sign of life for {limits.silence:.0f} s"
        if used > limits.cpu:
            return f"it had not ended after {limits.cpu:.0f} s of a processor"


def _cpu_seconds(process: int) -> float:
    """What it has used: on a machine with more to do that is less than the time that passed."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command(nest: Nest, ramdisk: Path, folder: Path, console: Path) -> list[str]:
    """L1's command line."""
    return [
        str(nest.qemu), "-nodefaults", "-no-user-config", "-no-reboot",
        "-display", "none", "-nic", "none",
        "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", CPU,
        "-smp", "1", "-m", str(_MEMORY_MIB),
        "-serial", f"file:{console}",
        "-kernel", str(nest.kernel), "-initrd", str(ramdisk),
        "-append", "console=ttyS0 no_timer_check panic=-1",
        *_share("root", Path("/"), ",readonly=on"), *_share("job", folder),
    ]  # fmt: skip


def _share(tag: str, folder: Path, more: str = "") -> list[str]:
    options = f"security_model=none,multidevs=remap{more}"
    return [
        "-fsdev", f"local,id={tag},path={folder},{options}",
        "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}",
    ]  # fmt: skip


def _judge(folder: Path, console: bytes, hung: str) -> Ended:
    died = consoletext.death(console)
    if died:
        return Ended(f"L1 died: {died}")
    if hung:
        return Ended(f"L1 hung: {hung}")
    status = folder / "status"
    if not status.exists():
        return Ended(f"L1 stopped: {consoletext.tail(console, 1)!r}")
    return Ended("", int(status.read_text()))


def _ramdisk(nest: Nest, image: Path, job: Sequence[str]) -> bytes:
    """Busybox, its names, the modules for files, and the script."""
    for name in ("bin", "modules"):
        (image / name).mkdir(parents=True)
    (image / "bin" / "busybox").write_bytes(_BUSYBOX.read_bytes())
    (image / "bin" / "busybox").chmod(0o755)
    for name in ("sh", "mkdir", "mount", "insmod", "cat", "chroot", "env", "reboot"):
        (image / "bin" / name).symlink_to("busybox")
    for name, content in nest.files.items():
        (image / "modules" / name).write_bytes(content)
    (image / "modules" / "order").write_text("\n".join(nest.files))
    environment = shlex.join(
        [
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
            "HOME=/run/home", "TMPDIR=/run/tmp", "LAB_CACHE=/run/cache",
            "PYTHONDONTWRITEBYTECODE=1",
        ]
    )  # fmt: skip
    words = shlex.quote(f"cd {shlex.quote(str(PROJECT))} && exec {shlex.join(job)}")
    init = image / "init"
    init.write_text(_INIT.format(environment=environment, command=words))
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(image)) for path in sorted(image.rglob("*")))
    packed = filter_bytes(
        ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "-D", str(image)], names.encode()
    )
    return gzip.compress(packed, 1)


def find_tcg(qemu: Path) -> list[Path]:
    """The files that hold QEMU's emulation, where it is a module; identify() looks there too."""
    program = program_of(qemu)
    return sorted(program.parent.parent.glob("lib/*/qemu/accel-tcg-*.so"))


def python(*words: str) -> list[str]:
    """A job: this very Python with other words."""
    return [sys.executable, *words]


def _tree(kernel: Kernel) -> Path:
    """The folder of the kernel's modules, beside its /boot."""
    version = kernel.image.name.split("-", 1)[1]
    root = kernel.image.parent.parent
    (found,) = [path for path in root.glob(f"**/lib/modules/{version}") if path.is_dir()]
    return found


def _with_dependencies(tree: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Modules by name, each after those that it needs; what is built in has no file."""
    files = {_plain(path.name.split(".ko")[0]): path for path in tree.rglob("*.ko*")}
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        path = files.get(name)
        if path is None or name in found:
            return
        for needed in run(["/sbin/modinfo", "-F", "depends", path]).strip().split(","):
            add(_plain(needed))
        content = path.read_bytes()
        found[name] = lzma.decompress(content) if path.suffix == ".xz" else content

    for name in names:
        add(_plain(name))
    return found


def _plain(name: str) -> str:
    return name.strip().replace("-", "_")
