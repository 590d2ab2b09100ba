# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab plan`: the cells in words, and the files that they lack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.config.cells import Cell
from lab.config.kernel import KernelConfig
from lab.config.lab import LabConfig


def describe_plan(config: LabConfig, cells: Sequence[Cell]) -> list[str]:
    """A line for each cell; below them one for each kernel that is missing."""
    width = max(len(cell.id) for cell in cells)
    lines = [f"{cell.id:<{width}}  {', '.join(_details(cell))}" for cell in cells]
    for name in dict.fromkeys(cell.kernel for cell in cells):
        why = _lacks(name, config.kernels[name])
        lines += [f"kernels.{name}: {why}"] if why else []
    return lines


def _details(cell: Cell) -> list[str]:
    found = [f"expect {cell.expect}" if cell.expect else "no expectation"]
    found += [f"{cell.vcpus} vcpus"] if cell.vcpus > 1 else []
    found += [f"host {cell.host}"] if cell.host else []
    found += [f"board {cell.board}"] if cell.board else []
    found += [f"xen {cell.xen}"] if cell.xen else []
    found += [f"args {cell.args}"] if cell.args else []
    found += [f"{key} {value}" for key, value in cell.settings.items()]
    return found + (["added as the control"] if cell.added_as_control else [])


def _lacks(name: str, kernel: KernelConfig) -> str:
    """What a kernel lacks, in words; empty when nothing is missing."""
    if kernel.supplied is not None:
        return f"has to be given by --kernel {name}=BZIMAGE: {kernel.supplied}"
    files = [
        kernel.image,
        kernel.deb,
        kernel.rpm,
        kernel.config,
        *kernel.patches,
        *kernel.fragments,
    ]
    if kernel.tree is not None and "://" not in kernel.tree:
        files.append(Path(kernel.tree))
    missing = [str(path) for path in files if path is not None and not path.exists()]
    return f"there is no file {', '.join(missing)}" if missing else ""
