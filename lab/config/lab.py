# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole of lab.yaml: its parts, and the checks between them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from lab.config.board import BoardConfig
from lab.config.claim import ClaimConfig
from lab.config.confidence import ConfidenceConfig
from lab.config.host import HostConfig
from lab.config.kernel import KernelConfig
from lab.config.kinds import GUEST_KINDS, Expectation, GuestKind
from lab.config.model import MAX_SHIFT, Args, Model, check_args
from lab.config.stress import Settings, StressConfig, check_settings
from lab.config.xen import XenConfig

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name: use letters, digits and ._+- (no ~, no spaces)")
    return name


class GuestsConfig(Model):
    """What every guest gets."""

    memory_mib: int = Field(256, ge=64, description="Memory of a guest, in MiB.")


class VariationConfig(Model):
    """How a cell differs from the plain one."""

    args: Args = ""
    vcpus: int = Field(1, ge=1, le=16, description="The guest's processors.")
    settings: Settings = Field(default_factory=dict, description="As stress.settings.")
    xen: str | None = Field(None, description="A name from xens; the one under xen by default.")

    _args = field_validator("args")(check_args)
    _settings = field_validator("settings")(check_settings)


class MatrixConfig(Model):
    """Which cells there are: kernels x guests x variations, plus include, minus exclude."""

    kernels: list[str] | None = Field(None, description="Names from kernels; all by default.")
    guests: list[GuestKind] = Field(default_factory=lambda: list(GUEST_KINDS))
    variations: list[str] = Field(
        default_factory=lambda: ["plain"], description="Names from variations; plain: none."
    )
    include: list[str] = Field(default_factory=list, description="More cells, by id.")
    exclude: list[str] = Field(default_factory=list, description="Cells left out, by id or glob.")


class LabConfig(Model):
    """The whole of lab.yaml."""

    host: HostConfig = HostConfig()
    xen: XenConfig = XenConfig()
    xens: dict[str, XenConfig] = Field(
        default_factory=dict, description="More hypervisors by name, for variations."
    )
    boards: dict[str, BoardConfig] = Field(
        default_factory=dict, description="Machines with power, console and boot (docs/boards.md)."
    )
    kernels: dict[str, KernelConfig] = Field(min_length=1)
    guests: GuestsConfig = GuestsConfig()
    stress: StressConfig = StressConfig()
    variations: dict[str, VariationConfig] = Field(default_factory=dict)
    matrix: MatrixConfig = MatrixConfig()
    trials: int = Field(3, ge=1, le=1000, description="Fresh boots of a clean cell, at least.")
    confidence: ConfidenceConfig = ConfidenceConfig()
    icount: int | None = Field(
        None,
        ge=0,
        le=MAX_SHIFT,
        description="Deterministic boots, an instruction taking 2^icount ns of guest time; "
        "null: at the machine's own speed. `lab run --deterministic` is 1.",
    )
    expect: dict[Expectation, list[str]] = Field(
        default_factory=dict, description="What cells should show, by id or glob."
    )
    claims: dict[str, ClaimConfig] = Field(
        default_factory=dict,
        description="Sentences that the cells test; claims.txt has the outcome.",
    )
    results: Path | None = Field(
        None,
        description="Where the runs' folders are made, relative to this file; null: results/ in "
        "the current folder. --results and $LAB_RESULTS have precedence.",
    )

    @model_validator(mode="after")
    def _check_xens(self) -> LabConfig:
        for name, variation in self.variations.items():
            if variation.xen is not None and variation.xen not in self.xens:
                known = ", ".join(self.xens) or "none"
                raise ValueError(
                    f"variations.{name}.xen: {variation.xen!r} is not under 'xens:' ({known})"
                )
        return self

    @field_validator("kernels", "variations", "xens", "boards")
    @classmethod
    def _names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            _check_name(name)
        return value
