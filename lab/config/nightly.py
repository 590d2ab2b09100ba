# SPDX-License-Identifier: GPL-2.0-or-later
"""What `lab nightly` does: `nightly:` of lab.yaml (docs/nightly.md)."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from lab.config.model import Model

_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")
HEALTH = "health"  # the job of a night's first runs


def read_span(text: str) -> float:
    """Seconds of a time such as ``6h``, ``1h30m`` or ``45s``; ValueError for anything else."""
    found = _SPAN.fullmatch(text)
    if not found or not any(found.groups()):
        raise ValueError(f"{text!r} is not a time: 6h, 1h30m or 45s would be one")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600.0 + minutes * 60 + seconds


class JobConfig(Model):
    """One job of a night: some cells, of this file or of a plan."""

    plan: str | None = Field(
        None,
        description="Another configuration: a name of plans/, or a YAML file relative to this one; "
        "by default this file.",
    )
    cells: list[str] = Field(
        default_factory=list, description="Its cells by id or glob; all by default."
    )
    hosts: list[str] | None = Field(
        None, min_length=1, description="Names from hosts; those of the matrix by default."
    )
    level: float | None = Field(None, gt=0, lt=1, description="As confidence.level.")
    safety: float | None = Field(None, ge=1, description="As confidence.safety.")
    git: list[str] = Field(
        default_factory=list,
        description="Kernels with a tree: the newest commit of their rev is built each night, and "
        "a bisect is started when it is the first that corrupts.",
    )
    newest: bool = Field(
        False, description="Ask apt for its newest lists first, so that packages are the newest."
    )
    capsule: bool = Field(
        True, description="Search a boot that can be replayed when a clean cell corrupts."
    )
    bisect: bool = Field(True, description="git: start a bisect when a clean cell corrupts.")

    def absolute(self, base: Path) -> JobConfig:
        """The same with a plan's file made absolute, from the configuration's folder."""
        if self.plan is None or not is_file_name(self.plan):
            return self
        return self.model_copy(update={"plan": str(base / Path(self.plan).expanduser())})


def is_file_name(plan: str) -> bool:
    """Whether a job's plan is a file; else it is a name of plans/."""
    return "/" in plan or plan.endswith((".yaml", ".yml"))


class NightlyConfig(Model):
    """What a night does: its jobs in their order, within a time."""

    budget: str = Field(
        "8h",
        description="The time that a night may take, such as 6h or 1h30m; what does not fit comes "
        "first in the next night.",
    )
    jobs: dict[str, JobConfig] = Field(
        default_factory=dict, description="By name, in the order in which they run."
    )

    @property
    def seconds(self) -> float:
        """The budget."""
        return read_span(self.budget)

    @field_validator("budget")
    @classmethod
    def _span(cls, value: str) -> str:
        if read_span(value) <= 0:
            raise ValueError("a night needs more time than 0 s")
        return value

    @model_validator(mode="after")
    def _names(self) -> NightlyConfig:
        for name in self.jobs:
            if not _JOB.fullmatch(name):
                raise ValueError(f"jobs: {name!r} is not a name: use letters, digits and ._+-")
            if name == HEALTH:
                raise ValueError(f"jobs: {HEALTH!r} is what a night's own first runs are called")
        return self

    def absolute(self, base: Path) -> NightlyConfig:
        """The same with paths made absolute, from the configuration's folder."""
        jobs = {name: job.absolute(base) for name, job in self.jobs.items()}
        return self.model_copy(update={"jobs": jobs})
