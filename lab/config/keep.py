# SPDX-License-Identifier: GPL-2.0-or-later
"""`keep:` of lab.yaml: how much evidence of the nights stays on the disk."""

from __future__ import annotations

from pydantic import Field

from lab.config.model import Model


class KeepConfig(Model):
    """What is older or more is removed, its verdicts are kept in the history. Evidence of anything
    that was not as expected stays, and so does every run that is not of a night.
    """

    nights: int | None = Field(
        90, ge=1, description="The evidence of so many nights stays; null: of all."
    )
    gib: float | None = Field(
        20, gt=0, description="GiB that the results may take before older nights go; null: any."
    )
