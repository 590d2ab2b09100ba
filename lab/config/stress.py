"""The stress program's settings: `stress:` of lab.yaml, and what a variation changes of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from lab.config.model import Model, unknown

# What the stress program takes besides the keys of StressConfig (repro/README.md).
STRESS_SETTINGS = (
    "openers", "victims", "opener_us", "hold_us", "victim_us", "naps", "prio", "pressure",
    "opener_cpu", "victim_cpu", "parent_fpu", "steady", "witness",
    "opener_prio", "halt", "aim", "files",
)  # fmt: skip
_FILES = {"mmx", "x87", "sse"}  # register files that are watched
_PLACES = ("any", "spread")  # besides a vCPU's number
Settings = dict[str, int | str]


def check_settings(value: Settings) -> Settings:
    """Settings as they are; ValueError for a name or a value that the program does not take."""
    for key, given in value.items():
        if key not in STRESS_SETTINGS:
            raise ValueError(unknown(key, STRESS_SETTINGS))
        if key == "files":
            if not (isinstance(given, str) and set(given.split(",")) <= _FILES):
                raise ValueError(f"files should name some of {', '.join(sorted(_FILES))}")
        elif isinstance(given, str):
            if not (key.endswith("_cpu") and given in _PLACES):
                raise ValueError(f"{key} should be a number, not {given!r}")
        elif not 0 <= given < 2**31:
            raise ValueError(f"{key} must be between 0 and {2**31 - 1}")
    return value


class StressConfig(Model):
    """Settings of the stress program (repro/README.md), and how much it must have done."""

    seconds: int = Field(12, ge=1, le=86400, description="How long a trial stresses, guest time.")
    windows: int = Field(0, ge=0, description="End after that many windows; 0: by time only.")
    stop: Literal["auto", "first", "never"] = Field(
        "auto",
        description="A boot's end by corruption: the first, never (and all trials are booted), or "
        "auto: the first, but a control goes on to its control_hits and a clean cell to its end.",
    )
    min_windows: int = Field(100, ge=1, description="Fewer windows than this prove nothing.")
    min_checks: int = Field(100, ge=1, description="Fewer register checks prove nothing.")
    arch: Literal[64, 32] = Field(64, description="64- or 32-bit stress program.")
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Seed of the program's jitter.")
    settings: Settings = Field(
        default_factory=dict, description="Further settings by the program's own names."
    )
    search: bool = Field(
        False,
        description="Before a run, search the settings that corrupt soonest on its control's "
        "kernel (`lab search`), once for each kernel; what `settings` says has precedence.",
    )

    _settings = field_validator("settings")(check_settings)
