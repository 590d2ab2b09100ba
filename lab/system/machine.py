# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine at hand: its processors and its memory."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from lab.errors import LabError


def cores() -> int:
    """Processors that this process and its children may use."""
    return len(os.sched_getaffinity(0))


def processor() -> str:
    """The processor's model as the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def cpu_flags() -> str:
    """The processor's features as the kernel names them, in its order."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return line.split(":", 1)[1].strip()
    return ""


def memory_mib() -> int:
    """All memory that the kernel manages, in MiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20


def available_mib() -> int:
    """Memory that new processes can have, in MiB."""
    return read_available(Path("/proc/meminfo").read_text())


def read_available(meminfo: str) -> int:
    """MemAvailable of /proc/meminfo, in MiB; LabError when it does not say."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) >> 10
    raise LabError("/proc/meminfo has no MemAvailable line")


def name_system() -> str:
    """The distribution's own name."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def describe() -> dict[str, str | int]:
    """System, processor, memory and Python, as a manifest has them."""
    return {
        "kernel": platform.release(),
        "system": name_system(),
        "processor": processor(),
        "cores": cores(),
        "memory_mib": memory_mib(),
        "python": platform.python_version(),
    }
