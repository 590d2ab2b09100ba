# SPDX-License-Identifier: GPL-2.0-or-later
"""The claims of a plan, as lab.yaml's ``claims:`` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.config.cellname import fits

Showing = Literal["corrupts", "clean", "vacuous", "fewer", "more", "alike"]


class ClaimConfig(BaseModel):
    """A sentence, and what its cells have to show for it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    says: str = Field(description="The claim, in a sentence.")
    source: str = Field(description="Who says so.")
    cells: list[str] = Field(min_length=1, description="The cells that try it, by id or glob.")
    show: Showing = Field(
        description="What every one of them has to show; fewer, more, alike: hit "
        "windows compared with those of 'than'."
    )
    than: str | None = Field(None, description="The cell that rates are compared with, by id.")
    tally: str | None = Field(
        None,
        description="corrupts, only by these checks: a field of the end record that reads "
        "CHECKS/CORRUPTIONS, such as halted or steady.",
    )
    needs: str | None = Field(None, description="What to supply where the cells cannot run.")

    @model_validator(mode="after")
    def _comparison_has_its_other_side(self) -> ClaimConfig:
        if (self.show in ("corrupts", "clean", "vacuous")) == (self.than is not None):
            raise ValueError("'than' names a cell exactly when 'show' compares with one")
        return self


def measured_by(claims: Mapping[str, ClaimConfig], cell: str) -> bool:
    """Whether a claim counts hits of the cell's boots, so the first corruption is not enough."""
    compared = [claim for claim in claims.values() if claim.than or claim.tally]
    return any(
        cell == claim.than or any(fits(cell, glob) for glob in claim.cells) for claim in compared
    )
