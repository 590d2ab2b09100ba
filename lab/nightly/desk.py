# SPDX-License-Identifier: GPL-2.0-or-later
"""What all parts of a night share: where it is written, what time is left, what is said."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.nightly.folder import NightFolder
from lab.nightly.night import Night
from lab.nightly.runs import Ran, Wanted, run_cells

FULL = (errno.ENOSPC, errno.EDQUOT)
NEEDED_MIB = 32  # free for a run: its consoles and reports are a few MiB


class DiskFullError(LabError):
    """The results' file system is full: the night stops, and can be continued."""


@dataclass
class Desk:
    """``clock``: seconds since 1970. ``text``: the configuration as it was given."""

    results: Path
    folder: NightFolder
    night: Night
    text: str
    clock: Callable[[], float]
    say: Callable[[str], None]

    def save(self) -> None:
        """Write the night; before each step and after it."""
        self.folder.write(self.night)

    def remaining(self) -> float:
        """Seconds of the night's time that are left; an interruption does not make it longer."""
        return self.night.start + self.night.budget - self.clock()

    def check_space(self) -> None:
        """DiskFullError where there is no room for a run."""
        free = shutil.disk_usage(self.results).free >> 20
        if free < NEEDED_MIB:
            raise DiskFullError(
                f"{self.results}: the disk is full, only {free} MiB are free and a run needs "
                f"{NEEDED_MIB} MiB; with more room `lab nightly` continues this night"
            )

    def run(self, wanted: Wanted, earlier: str, name: Callable[[str], None]) -> Ran:
        """A run within the night's time, with room on the disk before and after it."""
        self.check_space()
        ran = run_cells(wanted, self.results, earlier, self.remaining(), name)
        self.check_space()  # otherwise what it shows may be the full disk's doing
        return ran

    def mark(self, job: str, part: str = "") -> dict[str, str]:
        """What ties a run to the night, for its manifest."""
        marks = {"night": self.night.night, "job": job}
        return {**marks, "part": part} if part else marks


def explain_full(error: OSError, results: Path) -> LabError:
    """A full disk in one sentence; other errors of the system as they are."""
    if error.errno in FULL:
        return DiskFullError(
            f"{error.filename or results}: the disk is full; with more room `lab nightly` "
            "continues this night"
        )
    return LabError(f"{error.filename or results}: {error.strerror or error}")
