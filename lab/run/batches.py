# SPDX-License-Identifier: GPL-2.0-or-later
"""In which order the cells of one machine are booted: pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.config.cellname import is_cluster
from lab.config.cells import Cell


def find_xen(cell: Cell) -> str:
    """What cells of a Xen host have in common."""
    return cell.xen


def batches(cells: Sequence[Cell], station: Callable[[Cell], str] = find_xen) -> list[list[Cell]]:
    """Cells of one station each, which is what must be up for them, in the order of booting.

    All controls come before the cells that they measure, whatever these need: in another order
    a machine would wait for a control that it runs later.
    """
    controls = _by(station, [cell for cell in cells if cell.is_control])
    rest = _by(station, [cell for cell in cells if not cell.is_control])
    if controls and rest:
        last = next(iter(reversed(controls)))
        controls[last] = [*controls[last], *rest.pop(last, [])]
    return [*controls.values(), *rest.values()]


def _by(station: Callable[[Cell], str], cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    names = dict.fromkeys(map(station, cells))
    return {name: [cell for cell in cells if station(cell) == name] for name in names}


def by_board(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells by the board that they are booted on, in their order: pure."""
    names = dict.fromkeys(c.board for c in cells if c.board and not is_cluster(c.host))
    return {name: [cell for cell in cells if cell.board == name] for name in names}
