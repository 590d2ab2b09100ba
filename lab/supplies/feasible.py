# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cells cannot be run here, and why: by machine, kernel and configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lab.board.extra import require
from lab.config.board import GrubBoot
from lab.config.cellname import fits
from lab.config.cells import Cell
from lab.config.deterministic import impossible
from lab.config.kinds import ON_XEN
from lab.config.lab import LabConfig
from lab.config.password import read_password
from lab.config.secret import Login
from lab.errors import UserError
from lab.host.address import find_address, find_board_address
from lab.host.plan import PER_GUEST_MIB, find_room
from lab.kernel.kernel import Bootable
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.system.machine import memory_mib

_BESIDE_DOM0_MIB = 256  # of a board: Xen, and what its firmware keeps


def find_impossible_kinds(
    config: LabConfig, cells: list[Cell], binary: Qemu, accel: Accel
) -> dict[str, str]:
    """Cells of kinds that this QEMU or KVM cannot run, with the reason."""
    if accel.nests:
        return {}
    if accel.name == "kvm":
        kinds: tuple[str, ...] = ("native", "dom0", "pv")
        why = (
            f"this KVM does not nest, so that Xen has no SVM or VMX ({accel.why}); `lab doctor` "
            "says what to do, and host.accelerator: tcg emulates it"
        )
    else:
        kinds, why = binary.kinds, f"QEMU {binary.version}: {binary.why}"
    emulated = [cell for cell in cells if config.kind_of(cell.host) == "nested"]
    return {c.id: f"{c.guest} is impossible here: {why}" for c in emulated if c.guest not in kinds}


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
    for cell, why in impossible.items():
        if any(fits(cell, name) for name in exact):
            raise UserError(f"cell {cell!r}: {why}")


def refuse_mixed_widths(config: LabConfig, found: dict[str, Bootable]) -> None:
    """UserError where a 32-bit kernel would have to run the 64-bit stress program."""
    for name, bootable in found.items():
        if bootable.image.bits == 32 and config.stress.arch == 64:
            raise UserError(
                f"kernels.{name}: is a 32-bit kernel, which cannot run the 64-bit stress program: "
                "set stress.arch to 32"
            )


def check_cells(config: LabConfig, cells: Sequence[Cell]) -> None:
    """``check_input`` for every host that the cells name."""
    for host in dict.fromkeys(cell.host for cell in cells):
        check_input(config, (cell.guest for cell in cells if cell.host == host), host)


def check_input(config: LabConfig, guests: Iterable[str], host: str = "") -> None:
    """UserError for what is known to be wrong before anything is downloaded, built or written."""
    kinds = set(guests)
    for board in config.boards_of(host):
        _check_board(config, board, bool(kinds & set(ON_XEN)))
    if config.boards_of(host):
        return
    on_host = kinds & set(ON_XEN)
    if on_host and config.kind_of(host) == "real":
        find_address(config.host_of(host))
    elif on_host:
        _check_room(config, host)
    if kinds - on_host:
        _check_memory(config)


def _check_board(config: LabConfig, name: str, guests: bool) -> None:
    """Its memory (Xen has a part of it, and firmware too), and what it is reached with."""
    require()
    board = config.boards[name]
    power = board.power
    if board.ssh is not None and (guests or isinstance(board.boot, GrubBoot)):
        find_board_address(name, board.ssh)
    if isinstance(power, Login):
        read_password(power, f"boards.{name}.power")
    room = config.boards[name].memory_mib - _BESIDE_DOM0_MIB
    if config.guests.memory_mib > room:
        raise UserError(
            f"guests.memory_mib: {config.guests.memory_mib} MiB do not fit into the board {name}, "
            f"whose memory_mib leaves dom0 {max(0, room)}"
        )


def _check_room(config: LabConfig, name: str) -> None:
    host = config.host_of(name)
    room = find_room(host.memory_mib) - PER_GUEST_MIB
    if config.guests.memory_mib > room:
        key = f"hosts.{name}" if name else "host"
        raise UserError(
            f"guests.memory_mib: {config.guests.memory_mib} MiB do not fit into the nested host, "
            f"whose {key}.memory_mib of {host.memory_mib} leaves {max(0, room)} for a guest"
        )


def _check_memory(config: LabConfig) -> None:
    if config.guests.memory_mib > memory_mib():
        raise UserError(
            f"guests.memory_mib: {config.guests.memory_mib} MiB are more than this machine has "
            f"({memory_mib()} MiB)"
        )
