# SPDX-License-Identifier: GPL-2.0-or-later
"""From configuration to cells: pure, touches nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from lab.config.kinds import GUEST_KINDS, Expectation, GuestKind
from lab.config.lab import LabConfig
from lab.config.stress import Settings
from lab.errors import UserError

PLAIN = "plain"


@dataclass(frozen=True)
class Cell:
    """One kernel x one guest kind x one variation."""

    id: str
    guest: GuestKind
    kernel: str
    variation: str = PLAIN
    args: str = ""  # boot arguments of kernel and variation
    vcpus: int = 1
    settings: Settings = field(default_factory=dict)
    expect: Expectation | None = None
    xen: str = ""  # a name from xens; the one under xen otherwise
    added_as_control: bool = (
        False  # not selected: it is here so that the selected ones prove something
    )

    @property
    def nested(self) -> bool:
        """Whether the cell needs the Xen host (else QEMU alone boots it)."""
        return self.guest in ("pv", "pvh", "hvm")

    @property
    def is_control(self) -> bool:
        return self.expect == "corrupts"


def cell_id(guest: str, kernel: str, variation: str = PLAIN) -> str:
    """The only name of a cell, e.g. ``pv-linux-3.19.8~2vcpu``."""
    return f"{guest}-{kernel}" + ("" if variation == PLAIN else f"~{variation}")


def cells(config: LabConfig) -> list[Cell]:
    """Every cell of the matrix, in the order kernels x guests x variations, then include."""
    matrix = config.matrix
    kernels = matrix.kernels if matrix.kernels is not None else list(config.kernels)
    ids = [
        cell_id(guest, kernel, variation)
        for variation in matrix.variations
        for kernel in kernels
        for guest in matrix.guests
    ]
    ids += [i for i in matrix.include if i not in ids]
    made = [_cell(config, cell) for cell in dict.fromkeys(ids)]
    _every_glob_matches(matrix.exclude, made, "matrix.exclude")
    kept = [cell for cell in made if not _matches(cell.id, matrix.exclude)]
    if not kept:
        raise UserError("the matrix has no cell left: loosen matrix.exclude")
    for word, globs in config.expect.items():
        _every_glob_matches(globs, made, f"expect.{word}")
    return kept


def select(plan: list[Cell], wanted: list[str]) -> list[Cell]:
    """The cells that ids or globs name, with a positive control for them.

    A clean cell proves nothing unless a cell known to corrupt did so in the same run, so
    one that is expected to corrupt is added to a selection that lacks one.
    """
    if not wanted:
        return plan
    _every_glob_matches(wanted, plan, "the command line")
    chosen = [cell for cell in plan if _matches(cell.id, wanted)]
    return chosen + _controls_for(chosen, plan)


def _controls_for(chosen: list[Cell], plan: list[Cell]) -> list[Cell]:
    needed: list[Cell] = []
    for cell in chosen:
        best = control_of(cell, plan)
        if best and best not in chosen and best not in needed:
            needed.append(best)
    return [replace(control, added_as_control=True) for control in needed]


def control_of(cell: Cell, plan: Iterable[Cell]) -> Cell | None:
    """The control that a cell is measured by; None for a control itself, or without any.

    One of its own guest kind if there is one, else the cheapest, which needs no Xen host.
    """
    controls = [control for control in plan if control.is_control]
    if cell.is_control or not controls:
        return None
    same = [control for control in controls if control.guest == cell.guest]
    cheap = [control for control in controls if not control.nested]
    return (same or cheap or controls)[0]


def _cell(config: LabConfig, wanted: str) -> Cell:
    guest, kernel, variation = _parts(wanted)
    if kernel not in config.kernels:
        raise UserError(
            f"cell {wanted!r} names the kernel {kernel!r}, which is not under 'kernels:' "
            f"(there are {', '.join(config.kernels)})"
        )
    args, vcpus, settings = config.kernels[kernel].args, 1, dict(config.stress.settings)
    xen = ""
    if variation != PLAIN:
        if variation not in config.variations:
            raise UserError(
                f"cell {wanted!r} names the variation {variation!r}, "
                f"which is not under 'variations:'"
            )
        change = config.variations[variation]
        args, vcpus = f"{args} {change.args}".strip(), change.vcpus
        settings |= change.settings
        xen = change.xen or ""
    if xen and guest == "native":
        raise UserError(
            f"cell {wanted!r}: a native cell has no Xen, so it cannot have {xen!r}; use dom0"
        )
    if xen and config.host.kind == "real" and guest != "dom0":
        raise UserError(f"cell {wanted!r}: the lab does not change the Xen of a real host")
    expect = _expectation(config, wanted)
    return Cell(wanted, guest, kernel, variation, args, vcpus, settings, expect, xen)


def _parts(wanted: str) -> tuple[GuestKind, str, str]:
    guest, dash, rest = wanted.partition("-")
    kernel, _, variation = rest.partition("~")
    if not dash or guest not in GUEST_KINDS or not kernel:
        raise UserError(
            f"{wanted!r} is not a cell id: it should read KIND-KERNEL or KIND-KERNEL~VARIATION, "
            f"KIND one of {', '.join(GUEST_KINDS)}"
        )
    return guest, kernel, variation or PLAIN


def _expectation(config: LabConfig, cell: str) -> Expectation | None:
    found = [word for word, globs in config.expect.items() if _matches(cell, globs)]
    if len(found) > 1:
        raise UserError(f"expect: {cell!r} is named under {' and '.join(map(repr, found))}")
    return found[0] if found else None


def _matches(cell: str, globs: list[str]) -> bool:
    return any(fnmatchcase(cell, glob) for glob in globs)


def _every_glob_matches(globs: list[str], plan: list[Cell], where: str) -> None:
    """A name that matches nothing is a typing mistake: it must not silently test less."""
    for glob in globs:
        if not any(fnmatchcase(cell.id, glob) for cell in plan):
            ids = ", ".join(cell.id for cell in plan[:6])
            more = ", ..." if len(plan) > 6 else ""
            raise UserError(f"{where}: {glob!r} matches no cell (there are {ids}{more})")
