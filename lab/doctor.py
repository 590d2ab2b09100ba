# SPDX-License-Identifier: GPL-2.0-or-later
"""What this machine can do, each answer with what to do about it.

What can be tried is tried: the accelerator and the emulation are proved by booting
Xen, libvirt by opening it, user namespaces by entering one. Every check is a small function of
facts that its caller gathered, so tests can give it any machine.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.config.kinds import GUEST_KINDS
from lab.config.xen import XenConfig
from lab.errors import LabError, UserError
from lab.host.virt import prepare_embedded
from lab.qemu import accelerator as accel
from lab.qemu import binary, kvm
from lab.qemu.accelerator import Accel, Proof
from lab.qemu.binary import Qemu
from lab.system import debian
from lab.system.cache import cache_dir
from lab.system.machine import available_mib
from lab.system.machine import cores as usable_cores
from lab.system.packages import LIST, Packages, find_missing, is_debian, read_packages
from lab.system.process import run
from lab.system.project import INSTALLED
from lab.system.scratch import open_scratch
from lab.xen.package import find_package

PYTHONS = ((3, 11), (3, 13))
DISK_MIB = 6000  # dom0's image, a kernel source with its objects, the cache of compilers
MEMORY_MIB = 4500  # the nested host (host.memory_mib) and a build beside it
_SETUP = "install the Debian packages that are named above" if INSTALLED else "run ./setup.sh"
# Root's libvirt refuses to start without it; Debian 12 makes it only with libvirt's daemon.
_USER = "libvirt-qemu"
_MAKE_USER = (
    f"as root: `groupadd --system --gid 64055 {_USER} && useradd --system --uid 64055 "
    f"--gid {_USER} --home-dir /var/lib/libvirt --no-create-home --shell /usr/sbin/nologin {_USER}`"
)


@dataclass(frozen=True)
class Check:
    """``ok``: True, False (the lab cannot work), or None (worth knowing). ``todo`` may be ""."""

    name: str
    ok: bool | None
    says: str
    todo: str = ""


def checks() -> list[Check]:
    """All of them, in the order in which they build on each other. Takes a few seconds."""
    found = [python(sys.version_info[:2]), _guard("packages", _packages), *_emulator()]
    rest: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("xen", _xen),
        ("libvirt", _libvirt),
        ("mmdebstrap", _mmdebstrap),
        ("compiler", lambda: compiler(shutil.which("gcc"), shutil.which("ccache"))),
        ("disk", lambda: disk(shutil.disk_usage(cache_dir()).free >> 20, cache_dir())),
        ("memory", lambda: memory(available_mib())),
        ("cores", lambda: cores(usable_cores())),
    )
    return found + [_guard(name, ask) for name, ask in rest]


def _guard(name: str, ask: Callable[[], Check]) -> Check:
    """A check that fails to run is a bad one; the others still run."""
    try:
        return ask()
    except (UserError, LabError, OSError) as error:
        return Check(name, False, str(error), _SETUP)


def python(version: tuple[int, ...]) -> Check:
    """The interpreter that runs this."""
    oldest, newest = PYTHONS
    says = f"{version[0]}.{version[1]}"
    if oldest <= version[:2] <= newest:
        return Check("python", True, says)
    return Check("python", None, f"{says} was not tried", "set PYTHON to 3.11, 3.12 or 3.13")


def _packages() -> Check:
    if not is_debian():
        return packages(None)
    return packages(find_missing(read_packages(LIST.read_text())))


def packages(missing: Packages | None) -> Check:
    """Debian's, as one line for apt. ``missing``: None where this is not Debian."""
    name = "packages"
    if missing is None:
        says = "this is not Debian: the lab needs Debian 12 or 13, or a container of it"
        return Check(name, False, says)
    if not missing.all():
        return Check(name, True, "all that the lab needs are installed")
    says = f"{len(missing.all())} are not installed"
    if not missing.needed:
        says += ", of those that only tests and `lab replay --gdb` need"
    line = f"apt-get install --no-install-recommends {' '.join(missing.all())}"
    return Check(name, False if missing.needed else None, says, line)


def _emulator() -> list[Check]:
    """QEMU, then what depends on it; ends at the first that fails."""
    try:
        own = binary.find()
    except UserError as error:
        return [Check("qemu", False, str(error), _SETUP)]
    chosen = accel.decide(own, fresh=True)
    found = [qemu(own, chosen), accelerator(chosen)]
    try:
        found += [emulation(accel.prove(own, "tcg"))]
    except (UserError, LabError) as error:
        found += [Check("emulation", False, f"could not be tried: {error}", "see xen below")]
    return [*found, nesting(own, chosen)]


def qemu(own: Qemu, chosen: Accel) -> Check:
    """The version decides which guest kinds can be emulated."""
    where = f"{own.version} ({own.path})"
    if own.complete or chosen.nests:
        return Check("qemu", True, f"{where}: {', '.join(GUEST_KINDS)}")
    says = f"{where}: only {', '.join(own.kinds)} by emulation; {own.why}"
    if own.origin == "$LAB_QEMU":
        return Check("qemu", None, says, "unset LAB_QEMU, or point it at a QEMU 7.2")
    return Check(
        "qemu", None, says,
        "nothing: `lab run` unpacks Debian 12's 7.2 into its cache and uses that",
    )  # fmt: skip


def accelerator(chosen: Accel) -> Check:
    """KVM where it was proved; emulation is slower, not worse."""
    if chosen.name == "kvm":
        return Check("accelerator", True, f"KVM: {chosen.why}")
    todo = "emulation does all of it, some ten times slower"
    if kvm.DEVICE.exists() and not os.access(kvm.DEVICE, os.R_OK | os.W_OK):
        todo += "; for KVM get access to it: usually `adduser USER kvm`, then a new login"
    return Check("accelerator", None, f"TCG (emulation): {chosen.why}", todo)


def emulation(proof: Proof) -> Check:
    """Emulation's own proof, and how long it took: a hint at the machine's speed."""
    if not proof.works:
        return Check("emulation", False, f"Xen does not boot under TCG: {proof.says}", _SETUP)
    nested = f", {proof.hvm} enabled" if proof.hvm else ", no HVM"
    return Check("emulation", True, f"Xen booted under TCG in {proof.seconds} s{nested}")


def nesting(own: Qemu, chosen: Accel) -> Check:
    """Whether pvh and hvm guests can run, and by what."""
    if chosen.nests:
        return Check("nested virt", True, "the processor's, through KVM: pvh and hvm guests run")
    if chosen.name == "kvm":
        return Check(
            "nested virt", None, "KVM does not nest here: no pvh and hvm guests under it",
            "as root: `modprobe -r kvm_intel && modprobe kvm_intel nested=1` (or kvm_amd); or "
            "accelerator: tcg in lab.yaml",
        )  # fmt: skip
    if own.complete:
        return Check("nested virt", True, f"SVM, emulated by QEMU {own.version}: pvh and hvm run")
    return Check("nested virt", None, f"QEMU {own.version} cannot: {own.why}", "see qemu above")


def _xen() -> Check:
    package = find_package(XenConfig())
    version = debian.find_candidate(package)
    return Check("xen", True, f"{package} {version}, booted from the package: not installed")


def _libvirt() -> Check:
    """Open the driver in a process of its own: an abort in the library must not end the lab."""
    program = (
        "import libvirt, sys; libvirt.virEventRegisterDefaultImpl();"
        "c = libvirt.open(sys.argv[1]); print(c.getLibVersion())"
    )
    with open_scratch("libvirt", "run/libvirt-sock") as root:
        try:
            said = run([sys.executable, "-c", program, prepare_embedded(root)], timeout=60)
        except LabError as error:
            todo = _MAKE_USER if os.geteuid() == 0 and not _is_user(_USER) else _SETUP
            return Check("libvirt", False, f"qemu:///embed does not open: {error}", todo)
    return libvirt(said.split()[-1])


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def libvirt(number: str) -> Check:
    """``number``: a version as libvirt writes it, 9000000 for 9.0.0."""
    value = int(number)
    dotted = f"{value // 1000000}.{value // 1000 % 1000}.{value % 1000}"
    return Check("libvirt", True, f"{dotted}, qemu:///embed opens: no daemon, no root")


def _mmdebstrap() -> Check:
    user = pwd.getpwuid(os.getuid()).pw_name
    ranges = "".join(_text(Path(f"/etc/{name}")) for name in ("subuid", "subgid"))
    try:
        run(["unshare", "--user", "--map-root-user", "true"], timeout=10)
        why = ""
    except LabError as error:
        why = str(error)
    return mmdebstrap(
        bool(shutil.which("mmdebstrap")), os.getuid() == 0, user,
        ranges.count(f"{user}:") >= 2, bool(shutil.which("newuidmap")), why,
    )  # fmt: skip


def mmdebstrap(
    installed: bool, root: bool, user: str, ranges: bool, uidmap: bool, refused: str
) -> Check:
    """``ranges``: subuid and subgid name the user. ``refused``: why no user namespace, or ""."""
    name = "mmdebstrap"
    if not installed:
        return Check(name, False, "not installed: dom0's image cannot be built", _SETUP)
    if root:
        return Check(name, True, "builds dom0's image, as root")
    if not uidmap:
        return Check(name, False, "newuidmap is not installed", _SETUP)
    if not ranges:
        add = f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
        return Check(name, False, f"{user} has no subordinate ids", f"let someone run `{add}`")
    if refused:
        return Check(
            name, False, f"no user namespaces for {user}: {refused}",
            "let someone run `sysctl kernel.unprivileged_userns_clone=1`, or build as root once",
        )  # fmt: skip
    return Check(name, True, f"builds dom0's image in {user}'s own user namespace")


def compiler(gcc: str | None, ccache: str | None) -> Check:
    """For the stress program and kernels."""
    if gcc is None:
        return Check("compiler", False, "no gcc: nothing can be built", _SETUP)
    said = run([gcc, "-dumpfullversion"], timeout=30).strip()
    if ccache is None:
        return Check("compiler", None, f"gcc {said}, no ccache: slow rebuilds", _SETUP)
    return Check("compiler", True, f"gcc {said} with ccache")


def disk(free_mib: int, where: Path) -> Check:
    """Free space where the cache is."""
    says = f"{free_mib / 1024:.1f} GiB free in {where}"
    if free_mib >= DISK_MIB:
        return Check("disk", True, says)
    todo = f"free {DISK_MIB / 1024:.0f} GiB, or set LAB_CACHE to a folder with more"
    return Check("disk", False if free_mib < DISK_MIB // 4 else None, says, todo)


def memory(free_mib: int) -> Check:
    """What a nested host and a build need at once."""
    says = f"{free_mib / 1024:.1f} GiB available"
    if free_mib >= MEMORY_MIB:
        return Check("memory", True, says)
    return Check("memory", None, says, "lower host.memory_mib in lab.yaml, or close programs")


def cores(count: int) -> Check:
    """How many boots run side by side."""
    if count >= 2:
        return Check("cores", True, f"{count}: native and dom0 cells run beside the host")
    return Check("cores", None, "1: everything runs one after the other")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
