# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration of a board's check: control cells there, whatever lab.yaml runs. Pure."""

from __future__ import annotations

from lab.config.cells import Cell, cells
from lab.config.hosts import NamedHostConfig
from lab.config.kernel import KernelConfig
from lab.config.lab import LabConfig, MatrixConfig
from lab.config.stress import StressConfig

_STRESS_SECONDS = 4
_NAME = "board-check"  # of a host, where no host of lab.yaml is this board


def make_config(config: LabConfig, board: str) -> LabConfig:
    """lab.yaml's with nothing to run but the bad control kernel, native and dom0, on the board.

    Its host and its control kernel are lab.yaml's own where it has them: boot_seconds and boot
    arguments are there for a reason.
    """
    hosts = {name: host for name, host in config.hosts.items() if host.board == board}
    host = next(iter(hosts), _NAME)
    controls = {name: kernel for name, kernel in config.kernels.items() if kernel.control == "bad"}
    kernel = next(iter(controls), _NAME)
    return config.model_copy(
        update={
            "hosts": hosts or {_NAME: NamedHostConfig(board=board)},
            "kernels": {kernel: controls.get(kernel) or KernelConfig(control="bad")},
            "matrix": MatrixConfig(guests=["native", "dom0"], hosts=[host]),
            "stress": StressConfig(seconds=_STRESS_SECONDS),
            "variations": {},
            "xens": {},
            "claims": {},
            "expect": {},
            "known": {},
            "trials": 1,
            "icount": None,
        }
    )


def find_cell(config: LabConfig, guest: str) -> Cell:
    """The one cell of that guest kind in a check's configuration."""
    return next(cell for cell in cells(config) if cell.guest == guest)
