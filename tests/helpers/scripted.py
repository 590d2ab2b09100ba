# SPDX-License-Identifier: GPL-2.0-or-later
"""A board that is a script."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.errors import LabError


class Machine:
    """A board whose console says what ``boots`` makes of its being switched on."""

    def __init__(self, boots: Callable[[], bytes]) -> None:
        self.boots = boots
        self.did: list[str] = []
        self.refuses = ""
        self.path = Path()
        self.losses = 0
        self.problem = ""
        self.power = self.console = self

    def on(self) -> None:
        self.did.append("on")
        if self.refuses == "on":
            raise LabError("b1: its power control did not answer")
        with self.path.open("ab") as out:
            out.write(self.boots())

    def off(self) -> None:
        self.did.append("off")

    @contextlib.contextmanager
    def follow(self, path: Path) -> Iterator[Machine]:
        self.did.append("follow")
        self.path = path
        yield self
        self.did.append("end")

    def find_problem(self) -> str:
        return self.problem

    def refuse_losses(self) -> None:
        if self.losses:
            raise LabError("b1: the connection to its console was lost")


ONE_BOARD = """
boards: {b1: {power: {kind: command, 'on': [a], 'off': [b], status: [c]},
  console: {kind: tcp, address: x, port: 1}, mac: '52:54:00:12:34:56',
  boot: {kind: network, address: 10.0.0.1}}}
hosts: {rack1: {board: b1}}
variations: {2vcpu: {vcpus: 2}}
kernels: {old: {image: old.bzImage}}
"""
