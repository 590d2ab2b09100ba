# SPDX-License-Identifier: GPL-2.0-or-later
"""How sure a clean verdict must be: `confidence:` of lab.yaml."""

from __future__ import annotations

from pydantic import Field

from lab.config.model import Model


class ConfidenceConfig(Model):
    """How sure a clean verdict must be, and what is measured for it (docs/confidence.md)."""

    level: float = Field(
        1e-6, gt=0, lt=1,
        description="A clean cell must have had this chance at most of missing a bad kernel.",
    )  # fmt: skip
    safety: float = Field(
        10, ge=1, description="... one that corrupts this many times less often than the control."
    )
    control_boots: int = Field(
        8, ge=2, le=1000, description="Fresh boots of a control that others are measured by."
    )
    control_hits: int = Field(
        40, ge=1, description="Each of them until so many windows had a failed check."
    )
    max_boots: int = Field(
        20, ge=1, le=1000, description="Fresh boots of a cell at most; then it proves too little."
    )
