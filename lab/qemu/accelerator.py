# SPDX-License-Identifier: GPL-2.0-or-later
"""KVM or emulation: decided by booting Xen, not by looking at /dev/kvm.

A /dev/kvm may open, create machines and run a boot sector, and still die at Xen's first
instructions (seen on a paravirtual KVM: ``KVM internal error``, emulation failure, with not
one byte on the console). So the proof boots the hypervisor itself. Instead of a dom0 kernel it
gets a module of zeros: Xen brings up the whole machine, says whether it may use SVM or VMX,
and gives up with a panic about dom0 that shows all of this worked.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lab.config.xen import XenConfig
from lab.console import text as consoletext
from lab.errors import LabError, UserError
from lab.qemu import kvm, machine, options
from lab.qemu.binary import Qemu
from lab.system.cache import cache_dir, locked
from lab.system.deadline import Deadline
from lab.system.files import sha256_of, write_atomic
from lab.system.machine import cpu_flags, processor
from lab.system.scratch import open_scratch
from lab.xen import hypervisor as xen_images

_VERSION = "2"  # of the proof
_SECONDS = {"kvm": 30.0, "tcg": 120.0}  # Xen takes 1 to 2 s on hardware, 6 s emulated
_MEMORY_MIB = 512
_PROVED = re.compile(r"Could not construct domain 0|not an ELF binary")
_NESTS = re.compile(r"HVM: (SVM|VMX) enabled")


@dataclass(frozen=True)
class Accel:
    """``name`` is kvm or tcg, ``why`` one phrase. ``nests``: KVM that can run pvh and hvm.

    ``without``: CPU features that every machine under this KVM has to do without.
    """

    name: str
    why: str
    nests: bool = False
    without: tuple[str, ...] = ()

    @property
    def cpu(self) -> str:
        """The processor that a machine gets, as QEMU's ``-cpu`` has it."""
        return options.cpu(self.name, self.without)


@dataclass(frozen=True)
class Proof:
    """The result of booting Xen. ``hvm``: SVM, VMX or empty; ``seconds`` on this machine.

    ``without``: CPU features that it was booted without. ``refused``: one that KVM refused.
    """

    works: bool
    hvm: str
    says: str
    seconds: float
    without: tuple[str, ...] = ()
    refused: str = ""


def decide(qemu: Qemu, wanted: str = "auto", fresh: bool = False) -> Accel:
    """``auto``: KVM when Xen was seen to boot under it, else TCG. ``kvm``: that or a UserError.

    The proof is kept for this kernel, processor and QEMU; ``fresh`` does it anew.
    Without a Xen to boot (no network yet) the answer is TCG, and nothing is kept.
    """
    if wanted == "tcg":
        return Accel("tcg", "asked for")
    why = kvm.why_closed()
    if not why:
        try:
            proof = _recall(qemu, fresh)
        except (LabError, UserError) as error:
            why = f"KVM could not be proved: {error}"
        else:
            if proof.works:
                return accept(proof, kvm.read_nested())
            why = f"Xen does not boot under this KVM: {proof.says}"
    if wanted == "kvm":
        raise UserError(f"host.accelerator is kvm, but {why}; auto or tcg would work")
    return Accel("tcg", why)


def accept(proof: Proof, setting: str) -> Accel:
    """The KVM under which Xen booted, with what it lacks: pure.

    ``setting``: of its kernel module, about nesting; empty when unknown.
    """
    nesting = f"with nested {proof.hvm}" if proof.hvm else "without nesting"
    if not proof.hvm and setting:
        nesting += f" ({setting})"
    if proof.without:
        nesting += f", and without {' and '.join(proof.without)}, which it offers and refuses"
    why = f"Xen was seen to boot under it, {nesting}"
    return Accel("kvm", why, bool(proof.hvm), proof.without)


def prove(qemu: Qemu, name: str, image: Path | None = None) -> Proof:
    """Boot Xen under ``name`` (kvm or tcg) and report the result; never longer than allowed.

    A KVM that refuses a feature of its own processor is tried again without that.
    """
    image = image or xen_images.resolve(XenConfig()).image
    without: tuple[str, ...] = ()
    while True:
        proof = boot_xen(qemu, name, image, _SECONDS[name], without)
        if proof.works or not proof.refused or proof.refused in without:
            return replace(proof, without=without)
        without = (*without, proof.refused)


def command(
    qemu: Path, name: str, image: Path, module: Path, console: Path, without: Sequence[str] = ()
) -> list[str]:
    """QEMU's command line for the proof: pure."""
    processor = options.cpu(name, without)
    return [
        *options.bare_machine(str(qemu), name, processor, 1, _MEMORY_MIB, console),
        "-kernel", str(image),
        "-initrd", options.modules(str(module)),
        "-append", options.XEN_CONSOLE,
    ]  # fmt: skip


def boot_xen(
    qemu: Qemu, name: str, image: Path, seconds: float, without: Sequence[str] = ()
) -> Proof:
    """Start QEMU, read the console until Xen gives up on dom0, and end QEMU."""
    with open_scratch("accel") as spare:
        module, console, errors = (spare / n for n in ("module", "console", "errors"))
        module.write_bytes(bytes(4096))
        console.touch()
        began = time.monotonic()
        with errors.open("wb") as out:
            argv = command(qemu.path, name, image, module, console, without)
            process = machine.start(argv, out)
        try:
            ended = _wait(process, lambda: _decided(console, errors), Deadline(seconds))
        finally:
            process.kill()
            process.wait()
        took = round(time.monotonic() - began, 1)
        return judge(_read(console), _read(errors), ended, took)


def judge(console: str, errors: str, ended: bool, seconds: float) -> Proof:
    """From the console and QEMU's own messages to a proof: pure.

    ``ended``: QEMU ended before it was stopped.
    """
    if _PROVED.search(console):
        found = _NESTS.search(console)
        return Proof(True, found[1] if found else "", "Xen booted", seconds)
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    said = next((line for line in lines if "warning:" not in line), "")
    last = consoletext.tail(console.encode(), 1).strip()
    after = f"after {last!r}" if last else "before its first line"
    if said:
        refused = kvm.find_feature_to_drop(errors)
        return Proof(False, "", f"{said}, {after}", seconds, refused=refused)
    how = "QEMU ended" if ended else f"silent for {seconds:.0f} s"
    return Proof(False, "", f"{how} {after}", seconds)


def _decided(console: Path, errors: Path) -> bool:
    """QEMU stays, stopped, after a failure of KVM: no need to wait for more."""
    return bool(_PROVED.search(_read(console)) or kvm.find_failure(_read(errors)))


def _wait(process: subprocess.Popen[bytes], decided: Callable[[], bool], end: Deadline) -> bool:
    """True when QEMU ended on its own; returns as soon as anything is decided."""
    while not end.expired:
        if decided():
            return False
        try:
            process.wait(min(0.1, end.remaining() or 0.01))
        except subprocess.TimeoutExpired:
            continue
        return True
    return False


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def _recall(qemu: Qemu, fresh: bool) -> Proof:
    """The cached proof, made first if it is missing or a ``fresh`` one is wanted."""
    # Xen is in the record, not in the key: asking apt for it takes a second.
    parts = (platform.release(), processor(), cpu_flags(), kvm.read_nested(), qemu.version)
    key = sha256_of(_VERSION, *parts)[:24]
    path = cache_dir() / "accel" / f"{key}.json"
    with locked(path.with_suffix(".lock")):
        if path.exists() and not fresh:
            known = json.loads(path.read_text())["proof"]
            return Proof(**known | {"without": tuple(known["without"])})
        xen = xen_images.resolve(XenConfig())
        proof = prove(qemu, "kvm", xen.image)
        cpu = options.cpu("kvm", proof.without)
        record = {"proof": asdict(proof), "cpu": cpu, "xen": xen.provenance()}
        record["qemu"] = qemu.version
        write_atomic(path, json.dumps(record | {"kernel": platform.release()}, indent=1))
    return proof
