# SPDX-License-Identifier: GPL-2.0-or-later
"""A night as night.json keeps it: what was to be done, how far it is, what was seen.

Written before each step, so that a night killed at any moment is continued from what it says.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1

Seeing = Literal["not yet", "sees", "blind"]
JobState = Literal["waiting", "running", "done", "moved", "cut", "failed", "blind"]
PartState = Literal["running", "done", "cut", "failed", "left out"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", validate_assignment=True)


class Sight(_Record):
    """Whether a host can show tonight what the lab looks for, by one of its controls."""

    host: str  # a name from hosts
    control: str  # the cell's id
    plan: str = ""  # the plan that the control is from; empty: lab.yaml
    state: Seeing = "not yet"
    why: str = ""
    run: str = ""


class Outcome(_Record):
    """A cell of a job's run, tonight. ``verdict`` None: impossible here."""

    cell: str
    host: str
    verdict: str | None
    expect: str | None
    as_expected: bool
    reason: str
    windows: int = 0
    hits: int = 0
    boots: int = 0
    seconds: float = 0.0
    run: str = ""
    known: str | None = None


class JobRecord(_Record):
    """A job, tonight. ``runs``: its runs' folders, the newest last."""

    job: str
    state: JobState = "waiting"
    why: str = ""
    estimate: float | None = None  # seconds, from earlier nights
    seconds: float | None = None
    continued: bool = False  # after it was cut off, so that ``seconds`` are not all
    runs: list[str] = Field(default_factory=list)
    commits: dict[str, str] = Field(default_factory=dict)  # of kernels from git, by name
    outcomes: list[Outcome] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


class Part(_Record):
    """A step that follows a corruption: its run's folder, and its outcome."""

    state: PartState = "running"
    says: str = ""
    run: str = ""


class Change(_Record):
    """A cell that shows tonight what it did not show before."""

    cell: str
    job: str
    was: str
    now: str
    since: str  # the night of `was`
    reason: str
    run: str
    good_run: str = ""  # the folder of the last clean run
    inputs: list[str] = Field(default_factory=list)  # what is different from that night
    follow: bool = False  # a clean cell that corrupts: confirmed, kept, bisected
    confirmed: bool | None = None
    confirm: Part | None = None
    capsule: Part | None = None
    bisect: Part | None = None
    culprit: str = ""  # hash and title


class Carried(_Record):
    """A bisect that an earlier night began and had no time to end."""

    night: str
    cell: str
    job: str
    part: Part
    culprit: str = ""


class Night(_Record):
    """All of it. Times are UTC to the second; ``budget`` in seconds."""

    format: int = FORMAT
    night: str
    began: str
    start: float  # the same, in seconds since 1970
    budget: float
    command: str
    config: str  # the configuration file
    only: list[str] = Field(default_factory=list)  # jobs that --job named
    state: Literal["running", "ended", "given up"] = "running"
    ended: str | None = None
    resumed: list[str] = Field(default_factory=list)
    sights: list[Sight] = Field(default_factory=list)
    out_of_pool: dict[str, str] = Field(default_factory=dict)  # boards, with the reason
    jobs: list[JobRecord] = Field(default_factory=list)
    changes: list[Change] = Field(default_factory=list)
    drifts: list[str] = Field(default_factory=list)  # rates and seconds, in sentences
    carried: list[Carried] = Field(default_factory=list)
    left: list[str] = Field(default_factory=list)  # jobs that come first in the next night
    notes: list[str] = Field(default_factory=list)
    sentence: str = ""
    exit_code: int | None = None

    def job(self, name: str) -> JobRecord:
        return next(job for job in self.jobs if job.job == name)

    def blind_controls(self, plan: str) -> dict[str, str]:
        """Controls of a plan that did not corrupt tonight, with the reason."""
        return {s.control: s.why for s in self.sights if s.plan == plan and s.state == "blind"}

    @property
    def blind(self) -> bool:
        """Whether nothing can be claimed: no control corrupted tonight."""
        return bool(self.sights) and all(sight.state == "blind" for sight in self.sights)
