# SPDX-License-Identifier: GPL-2.0-or-later
"""The stress program's settings: `stress:` of lab.yaml, and what a variation changes of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from lab.config.model import Model, unknown

# What the stress program takes besides the keys of StressConfig (repro/README.md): lowest and
# highest value, as repro/settings.c has them.
NUMBERS: dict[str, tuple[int, int]] = {
    "openers": (0, 400),
    "victims": (0, 64),
    "lanes": (0, 1),
    "opener_us": (0, 10_000_000),
    "hold_us": (0, 10_000_000),
    "victim_us": (1, 10_000_000),
    "aim": (0, 1),
    "naps": (1, 1000),
    "steady": (0, 64),
    "witness": (0, 1),
    "prio": (0, 90),
    "opener_prio": (0, 90),
    "parent_fpu": (0, 1),
    "halt": (0, 1),
    "pressure": (0, 2000),
    "opener_cpu": (0, 1000),
    "victim_cpu": (0, 1000),
}
PLACES = ("any", "spread")  # for the two settings that name a vCPU, besides its number
FILES = ("mmx", "x87", "sse")  # register files that are watched: the setting "files"
MOST = 2_000_000_000  # windows and checks of one boot
Settings = dict[str, int | str]


def check_settings(value: Settings) -> Settings:
    """Settings as they are; ValueError for a name or a value that the program does not take."""
    for key, given in value.items():
        if key == "files":
            _check_files(given)
        elif key in NUMBERS:
            _check_number(key, given)
        else:
            raise ValueError(unknown(key, (*NUMBERS, "files")))
    return value


def _check_files(given: int | str) -> None:
    names = str(given).split(",")
    if not set(names) <= set(FILES) or len(set(names)) != len(names):
        raise ValueError(f"files should name some of {', '.join(FILES)}, with commas between them")


def _check_number(key: str, given: int | str) -> None:
    lowest, highest = NUMBERS[key]
    if isinstance(given, str):
        if key.endswith("_cpu") and given in PLACES:
            return
        words = f", or one of {', '.join(PLACES)}" if key.endswith("_cpu") else ""
        raise ValueError(f"{key} should be a number{words}, not {given!r}")
    if not lowest <= given <= highest:
        raise ValueError(f"{key} must be from {lowest} to {highest}, not {given}")


class StressConfig(Model):
    """Settings of the stress program (repro/README.md), and how much it must have done."""

    seconds: int = Field(12, ge=1, le=86400, description="How long a trial stresses, guest time.")
    windows: int = Field(
        0, ge=0, le=MOST, description="End after that many windows; 0: by time only."
    )
    stop: Literal["auto", "first", "never"] = Field(
        "auto",
        description="A boot's end by corruption: the first, never (and all trials are booted), or "
        "auto: the first, but a control runs to its control_hits and a clean cell to its end.",
    )
    min_windows: int = Field(
        100, ge=1, le=MOST, description="Fewer windows than this prove nothing."
    )
    min_checks: int = Field(100, ge=1, le=MOST, description="Fewer register checks prove nothing.")
    arch: Literal[64, 32] = Field(64, description="64- or 32-bit stress program.")
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Seed of the program's jitter.")
    settings: Settings = Field(
        default_factory=dict, description="Further settings by the program's own names."
    )
    search: bool = Field(
        False,
        description="Before a run, search the settings that corrupt soonest on its control's "
        "kernel (`lab search`), once for each kernel; `settings` has precedence.",
    )

    _settings = field_validator("settings")(check_settings)
