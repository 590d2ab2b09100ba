"""The stress program, seen from outside: its binaries and its settings."""

from __future__ import annotations

from pathlib import Path

from lab.config.cells import Cell
from lab.config.lab import StressConfig
from lab.system.files import PROJECT
from lab.system.process import run
from lab.verdict.stopping import Asked


def program(arch: int) -> Path:
    """The freestanding binary, made up to date by its own Makefile (milliseconds when it is)."""
    run(["make", "-s", "-C", PROJECT / "repro", f"build/mmxstress{arch}"], timeout=300)
    return PROJECT / "repro" / "build" / f"mmxstress{arch}"


def settings(
    stress: StressConfig, cell: Cell, nonce: str, trial: int, asked: Asked
) -> dict[str, str]:
    """The program's settings for one trial, by its own names; each trial has its own seed."""
    return {
        "run": nonce,
        "seed": str(stress.seed + trial - 1),
        "seconds": str(stress.seconds),
        "windows": str(asked.windows),
        "at_least": str(stress.min_windows),
        "checks": str(stress.min_checks),
        "stop": str(asked.stop),
        **{key: str(value) for key, value in cell.settings.items()},
    }


def boot_words(values: dict[str, str]) -> str:
    """Settings as words of a kernel command line; the kernel passes over dotted names."""
    return " ".join(f"mmx.{key}={value}" for key, value in values.items())
