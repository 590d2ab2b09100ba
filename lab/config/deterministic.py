# SPDX-License-Identifier: GPL-2.0-or-later
"""Deterministic boots as configuration: which cells can be booted so, and by what settings.

``lab.qemu.icount`` has the QEMU side.
"""

from __future__ import annotations

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.system.files import sha256_of

SHIFT = 1  # 2 ns for an instruction: a guest of 500 MIPS; seen to corrupt within 2 virtual seconds
# Where every instruction takes the same time, victims that aim fall into step with the openers
# and miss every window (seen: none hit in 10,655). One register file is enough to follow.
_SETTINGS: dict[str, int | str] = {"aim": 0, "openers": 3, "files": "mmx"}


def configure(config: LabConfig, shift: int = SHIFT) -> LabConfig:
    """The configuration for deterministic boots; the user's own settings stay."""
    host = config.host.model_copy(update={"accelerator": "tcg"})
    stress = config.stress.model_copy(update={"settings": _SETTINGS | config.stress.settings})
    return config.model_copy(update={"host": host, "stress": stress, "icount": shift})


def nonce(cell: str, seed: int) -> str:
    """The word that ties a console to its trial; fixed, as it is on the guest's command line."""
    return sha256_of("deterministic", cell, str(seed))[:8]


def impossible(cell: Cell) -> str | None:
    """Why a cell cannot be run deterministically; None when it can."""
    if cell.nested:
        return (
            f"{cell.guest} guests need a nested Xen host, whose time is the host's: "
            "only native and dom0 cells can be deterministic"
        )
    if cell.board:
        return "a board's time is its own: only cells in QEMU can be deterministic"
    if cell.vcpus > 1:
        return f"it has {cell.vcpus} processors: only cells with one can be deterministic"
    return None
