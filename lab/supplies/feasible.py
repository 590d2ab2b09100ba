# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cells cannot be run here, and why: by machine, kernel and configuration."""

from __future__ import annotations

from collections.abc import Iterable

from lab.config.cells import Cell
from lab.config.deterministic import impossible
from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.host.address import find_address
from lab.host.plan import PER_GUEST_MIB, find_room
from lab.kernel.kernel import Bootable
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.system.machine import memory_mib


def find_impossible_kinds(
    config: LabConfig, cells: list[Cell], binary: Qemu, accel: Accel
) -> dict[str, str]:
    """Cells of kinds that this QEMU or KVM cannot run, with the reason."""
    if config.host.kind == "real" or accel.nests:
        return {}
    if accel.name == "kvm":
        kinds: tuple[str, ...] = ("native", "dom0", "pv")
        why = (
            f"this KVM does not nest, so that Xen has no SVM or VMX ({accel.why}); `lab doctor` "
            "says what to do, and host.accelerator: tcg emulates it"
        )
    else:
        kinds, why = binary.kinds, f"QEMU {binary.version}: {binary.why}"
    return {c.id: f"{c.guest} is impossible here: {why}" for c in cells if c.guest not in kinds}


def find_not_deterministic(config: LabConfig, cells: list[Cell]) -> dict[str, str]:
    """Cells that a deterministic run leaves out."""
    if config.icount is None:
        return {}
    reasons = {cell.id: impossible(cell) for cell in cells}
    return {cell: f"not deterministic: {why}" for cell, why in reasons.items() if why}


def find_not_supplied(config: LabConfig, cells: list[Cell]) -> dict[str, str]:
    """Cells whose kernel the user has to supply."""
    return {
        cell.id: f"give it by --kernel {cell.kernel}=BZIMAGE: {words}"
        for cell in cells
        if (words := config.kernels[cell.kernel].supplied) is not None
    }


def find_impossible_kernels(cells: list[Cell], found: dict[str, Bootable]) -> dict[str, str]:
    """Cells whose kernel cannot be such a guest; UserError for one that cannot run under Xen."""
    reasons = {}
    for cell in cells:
        why = found[cell.kernel].impossible_as(cell.guest)
        if why and cell.guest != "pvh" and found[cell.kernel].image.pv is False:
            # The question of this lab is a PV one: such a kernel is a mistake, not a property.
            raise UserError(
                f"kernel {cell.kernel!r} cannot run as {cell.guest}: {why}; "
                f"give another one, or put {cell.id!r} under matrix.exclude"
            )
        if why:
            reasons[cell.id] = f"kernel {cell.kernel} cannot run as {cell.guest}: {why}"
    return reasons


def refuse(impossible: dict[str, str], exact: list[str]) -> None:
    """UserError for a cell that the user asked for by its id and that cannot be run."""
    for cell in exact:
        if cell in impossible:
            raise UserError(f"cell {cell!r}: {impossible[cell]}")


def refuse_mixed_widths(config: LabConfig, found: dict[str, Bootable]) -> None:
    """UserError where a 32-bit kernel would have to run the 64-bit stress program."""
    for name, bootable in found.items():
        if bootable.image.bits == 32 and config.stress.arch == 64:
            raise UserError(
                f"kernels.{name}: is a 32-bit kernel, which cannot run the 64-bit stress program: "
                "set stress.arch to 32"
            )


def check_input(config: LabConfig, guests: Iterable[str]) -> None:
    """UserError for what is known to be wrong before anything is downloaded, built or written."""
    kinds = set(guests)
    on_host = kinds & {"pv", "pvh", "hvm"}
    if on_host and config.host.kind == "real":
        find_address(config.host)
    elif on_host:
        _check_room(config)
    if kinds - on_host:
        _check_memory(config)


def _check_room(config: LabConfig) -> None:
    room = find_room(config.host.memory_mib) - PER_GUEST_MIB
    if config.guests.memory_mib > room:
        raise UserError(
            f"guests.memory_mib: {config.guests.memory_mib} MiB do not fit into the nested host, "
            f"whose host.memory_mib of {config.host.memory_mib} leaves {max(0, room)} for a guest"
        )


def _check_memory(config: LabConfig) -> None:
    if config.guests.memory_mib > memory_mib():
        raise UserError(
            f"guests.memory_mib: {config.guests.memory_mib} MiB are more than this machine has "
            f"({memory_mib()} MiB)"
        )
