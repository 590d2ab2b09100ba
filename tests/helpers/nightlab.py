# SPDX-License-Identifier: GPL-2.0-or-later
"""Nights of made-up kernels: all of the real code, but a place that writes the console it is given.

The clock is made up too, so that a quarter of nights passes in seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.kernel.image import BzImage
from lab.kernel.kernel import Bootable, Kernel
from lab.nightly import command
from lab.nightly.folder import list_nights
from lab.nightly.night import Night
from lab.qemu.accelerator import Accel
from lab.qemu.binary import Qemu
from lab.run.durations import Durations
from lab.supplies.gather import Supplies
from tests.helpers.runs import FakePlace

BAD: dict[str, Any] = {"corruptions": 50, "hits": 40, "windows": 100}
CLEAN: dict[str, Any] = {"windows": 5000}
CONFIG = """
kernels: {control: {image: control}, mine: {image: mine}, other: {image: other}}
matrix: {guests: [dom0]}
trials: 1
confidence: {level: 1.0e-3, safety: 1, control_boots: 2, control_hits: 5, max_boots: 3}
expect: {corrupts: [dom0-control]}
nightly:
  jobs:
    first: {cells: [dom0-mine], capsule: false}
    second: {cells: [dom0-other], capsule: false}
"""
DAY = 86400.0
Script = Callable[[Cell, int], dict[str, Any] | Exception]


@dataclass
class NightLab:
    """``script``: what a boot of a cell shows. ``boot_seconds``: by the made-up clock.

    ``versions``: of kernels, by name. ``unready``: raised instead of supplies, by kernel.
    """

    folder: Path
    script: Script
    text: str = CONFIG
    at: float = 1790042400.0  # 02:00 UTC
    boot_seconds: float = 10.0
    versions: dict[str, str] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    unready: dict[str, Exception] = field(default_factory=dict)
    places: list[FakePlace] = field(default_factory=list)

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def config_path(self) -> Path:
        return self.folder / "lab.yaml"

    def config(self) -> LabConfig:
        self.config_path.write_text(self.text)
        return parse(self.text, self.config_path)

    def night(self, *only: str) -> int:
        """One night at the clock's time; its exit code."""
        return command.run(
            self.config(), self.config_path, self.results, only, "lab nightly", self.clock
        )

    def nights(self) -> list[Night]:
        return [folder.read() for folder in list_nights(self.results)]

    def last(self) -> Night:
        return self.nights()[-1]

    def clock(self) -> float:
        return self.at

    def boot(self, cell: Cell, count: int) -> dict[str, Any] | Exception:
        self.at += self.boot_seconds
        return self.script(cell, count)

    def gather(self, config: LabConfig, chosen: list[Cell], *_: object) -> Supplies:
        names = dict.fromkeys(cell.kernel for cell in chosen)
        for name in names:
            if name in self.unready:
                raise self.unready[name]
        return Supplies(
            Qemu(Path("/qemu"), "7.2.0", ("native", "dom0"), "fake"),
            Accel("tcg", "fake"), self._image("program"), self._image("ramdisk"),
            {name: self._kernel(config, name) for name in names}, None, None,
        )  # fmt: skip

    def _kernel(self, config: LabConfig, name: str) -> Bootable:
        version = self.versions.get(name, "3.19.8")
        provenance = {"sha256": name.encode().hex()}
        if config.kernels[name].tree is not None:
            provenance["source_commit"] = str(config.kernels[name].rev)
        return Bootable(
            Kernel(name, self._image(name), provenance), BzImage(version, True, False)
        )  # fmt: skip

    def _image(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            path.write_bytes(name.encode())
        return path


def set_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, script: Script, text: str = CONFIG
) -> NightLab:
    """A lab in ``folder`` whose boots are ``script``."""
    lab = NightLab(folder, script, text)
    place = FakePlace(lab.boot)
    lab.places.append(place)
    for module in ("lab.run.experiment", "lab.nightly.runs", "lab.nightly.follow"):
        monkeypatch.setattr(f"{module}.gather_showing", lab.gather)
    monkeypatch.setattr("lab.run.schedule.OwnMachine", lambda *_: place)
    monkeypatch.setattr("lab.run.schedule.Durations", lambda: Durations(folder / "durations.json"))
    monkeypatch.setattr("lab.nightly.lock.PATH", folder / "night.lock")
    monkeypatch.setattr("lab.nightly.morning.write_pages", lambda results: results / "page")
    monkeypatch.setattr("lab.evidence.manifest.hash_rules", lambda: "rules")  # reads all modules
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of files
    monkeypatch.setattr("lab.run.cell.time", SimpleNamespace(monotonic=lambda: 1.0))
    gmtime = time.gmtime
    monkeypatch.setattr(time, "gmtime", lambda at=None: gmtime(lab.at if at is None else at))
    return lab


def by_kernel(**shows: dict[str, Any] | Exception) -> Script:
    """The control corrupts; other kernels are clean but for those that are named."""

    def script(cell: Cell, _: int) -> dict[str, Any] | Exception:
        if cell.kernel == "control":
            return shows.get("control", BAD)
        return shows.get(cell.kernel, CLEAN)

    return script
