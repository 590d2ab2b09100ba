# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that a run's cells boot, gathered before the first boot: what is missing is found
before the run begins.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.config.xen import XenConfig
from lab.kernel import resolve as kernels
from lab.kernel.archive import Archive
from lab.kernel.kernel import Bootable
from lab.qemu import accelerator, choice
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.qemu.identity import read_firmware
from lab.report.terminal import Terminal
from lab.supplies import program as stress
from lab.supplies.feasible import (
    check_cells,
    find_impossible_kernels,
    find_impossible_kinds,
    find_not_deterministic,
    find_not_supplied,
    refuse,
    refuse_mixed_widths,
)
from lab.supplies.ramdisk import ramdisk
from lab.system.answers import cached_sha256
from lab.system.cache import cache_dir, require_space
from lab.system.files import sha256_of, write_atomic
from lab.xen import hypervisor as xen
from lab.xen.hypervisor import Xen
from lab.xen.package import find_package

if TYPE_CHECKING:
    from lab.host.image import Dom0Image

Report = Callable[[str, str], None]  # what, and its state in a few words
_RESULTS_MIB = 500


@dataclass(frozen=True)
class Supplies:
    """``impossible``: cells that cannot run on this machine or kernel, by id, with the reason."""

    qemu: Qemu
    accel: Accel
    program: Path
    ramdisk: Path
    kernels: dict[str, Bootable]
    xen: Xen | None
    image: Dom0Image | None
    impossible: dict[str, str] = field(default_factory=dict)
    xens: dict[str, Xen] = field(default_factory=dict)  # by name: those of variations
    firmware: dict[str, str] = field(default_factory=dict)  # QEMU's files by name: SHA-256

    def hypervisor(self, name: str) -> Xen | None:
        """The Xen of that name, or for "" the one under `xen:` if it was gathered."""
        return self.xens[name] if name else self.xen

    def provenance(self) -> dict[str, Any]:
        """Versions and hashes of everything, for the manifest."""
        return {
            "qemu": {
                "path": str(self.qemu.path),
                "version": self.qemu.version,
                "firmware": self.firmware,
            },
            "accelerator": {
                "name": self.accel.name,
                "why": self.accel.why,
                "cpu": self.accel.cpu,
            },
            "program": {"path": str(self.program), "sha256": cached_sha256(self.program)},
            "ramdisk": {"path": str(self.ramdisk), "sha256": cached_sha256(self.ramdisk)},
            "kernels": {
                name: {
                    "version": bootable.image.version,
                    "config": str(bootable.kernel.config or ""),
                    **bootable.kernel.provenance,
                }
                for name, bootable in self.kernels.items()
            },
            "xen": self.xen.provenance() if self.xen else None,
            "xens": {name: found.provenance() for name, found in self.xens.items()},
            "dom0_image": self.image.provenance() if self.image else None,
        }


def gather(config: LabConfig, cells: list[Cell], report: Report, exact: list[str]) -> Supplies:
    """Find, download and build what ``cells`` need; the dom0 image beside the kernels.

    ``exact``: ids that the user asked for by name; for them, impossible is a UserError.
    """
    check_cells(config, cells)
    require_space(cache_dir(), _RESULTS_MIB, "a run")
    binary = choice.choose(config.host.accelerator, lambda state: report("QEMU", state))
    accel = accelerator.decide(binary, config.host.accelerator)
    impossible = find_impossible_kinds(config, cells, binary, accel)
    impossible |= find_not_deterministic(config, cells) | find_not_supplied(config, cells)
    names = list(dict.fromkeys(cell.kernel for cell in cells if cell.id not in impossible))
    for name in names:
        report(f"kernel {name}", "finding")
    with ThreadPoolExecutor(1) as beside:
        nested = [c for c in cells if c.nested and c.id not in impossible]
        image = None
        if any(config.kind_of(cell.host) == "nested" for cell in nested):
            image = beside.submit(_image, config, report)
        found = {name: _kernel(config, name, report) for name in names}
        impossible |= find_impossible_kernels([c for c in cells if c.kernel in found], found)
        refuse(impossible, exact)
        refuse_mixed_widths(config, found)
        program = stress.program(config.stress.arch)
        return Supplies(
            binary, accel, program, make_ramdisk(program), found,
            _xen(config, cells, report),
            image.result() if image else None,
            impossible,
            _find_named_xens(config, cells, report),
            read_firmware(binary.path),
        )  # fmt: skip


def gather_showing(
    config: LabConfig, cells: list[Cell], terminal: Terminal, exact: list[str]
) -> Supplies:
    """The same, with its progress on the terminal."""
    supplying = Terminal(terminal.console)
    terminal.say("gathering kernels and images")
    with supplying.progress():
        return gather(config, cells, supplying.board.state, exact)


def gather_host(config: LabConfig, report: Report) -> Supplies:
    """Only what the nested host itself needs."""
    binary = choice.choose(config.host.accelerator, lambda state: report("QEMU", state))
    accel = accelerator.decide(binary, config.host.accelerator)
    program = stress.program(config.stress.arch)
    image = _image(config, report)
    hypervisor = None if config.xen.packaged else _resolve("Xen", config.xen, report)
    return Supplies(binary, accel, program, make_ramdisk(program), {}, hypervisor, image)


def _xen(config: LabConfig, cells: list[Cell], report: Report) -> Xen | None:
    """The one under `xen:`, unless it is only booted from dom0's image, which has its own."""
    plain = [cell for cell in cells if cell.guest != "native" and not cell.xen]
    if any(cell.guest == "dom0" or not config.xen.packaged for cell in plain):
        return _resolve("Xen", config.xen, report)
    return None


def _find_named_xens(config: LabConfig, cells: list[Cell], report: Report) -> dict[str, Xen]:
    names = dict.fromkeys(cell.xen for cell in cells if cell.xen)
    return {name: _resolve(f"Xen {name}", config.xens[name], report) for name in names}


def _resolve(what: str, config: XenConfig, report: Report) -> Xen:
    found = xen.resolve(config, lambda state: report(what, state))
    report(what, f"ready: {found.version}")
    return found


def _kernel(config: LabConfig, name: str, report: Report) -> Bootable:
    what = f"kernel {name}"
    archive = Archive(config.mirrors, config.keyring)
    found = kernels.resolve(name, config.kernels[name], lambda s: report(what, s), archive)
    report(what, f"ready: {found.image.version}")
    return found


def _image(config: LabConfig, report: Report) -> Dom0Image:
    from lab.host.image import build_image

    made = build_image(lambda state: report("dom0 image", state), find_package(config.xen))
    report("dom0 image", "ready")
    return made


def make_ramdisk(program: Path) -> Path:
    """The ramdisk whose /init is ``program``, in the cache."""
    content = ramdisk(program.read_bytes())
    path = cache_dir() / "ramdisk" / f"{sha256_of(content)[:16]}.cpio"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, content)
    return path
