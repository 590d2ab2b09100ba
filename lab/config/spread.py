# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cells of a run go to a cluster's machines, and by what id: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.config.cellname import BOARD_OF, CLUSTER
from lab.config.cells import Cell, add_controls


def goes(cell: Cell) -> bool:
    """Whether a cell is booted by the cluster: one of the host under `host:`, by QEMU alone."""
    return not cell.host and not cell.nested


def spread(chosen: Sequence[Cell], plan: Sequence[Cell], machines: Sequence[str]) -> list[Cell]:
    """The chosen cells with those that go to a cluster there, and everything's controls.

    Such a cell is booted by one of the machines; a control is measured on each of them, as a
    cell of its own. What stays keeps its controls here.
    """
    staying = [cell for cell in chosen if not goes(cell)]
    made = [one for cell in chosen if goes(cell) for one in _on_machines(cell, machines)]
    return made + add_controls(staying, plan)


def _on_machines(cell: Cell, machines: Sequence[str]) -> list[Cell]:
    if not cell.is_control:
        return [replace(cell, id=f"{cell.id}@{CLUSTER}", host=CLUSTER)]
    hosts = {name: f"{CLUSTER}{BOARD_OF}{name}" for name in machines}
    return [
        replace(cell, id=f"{cell.id}@{host}", host=host, board=name) for name, host in hosts.items()
    ]
