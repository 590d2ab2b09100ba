# SPDX-License-Identifier: GPL-2.0-or-later
"""RESULTS/nights/ID: a night's folder. The one owner of nights/.

night.json               the night, rewritten before each step
lab.yaml, config.json    the configuration, as it was given and as it was understood
summary.txt              what is sent in the morning
"""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import ValidationError

from lab.config.lab import LabConfig
from lab.errors import LabError, UserError
from lab.evidence.content import dump, load
from lab.nightly.night import FORMAT, Night
from lab.system.files import write_atomic

NIGHTS = "nights"
_FILE = "night.json"


class NightFolder:
    """One night's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, results: Path, at: float) -> NightFolder:
        """A new one, named by the time (UTC); LabError where no folder can be made."""
        root = results / NIGHTS
        try:
            root.mkdir(parents=True, exist_ok=True)
            while True:
                folder = root / name_night(at)
                try:
                    folder.mkdir()
                    return cls(folder)
                except FileExistsError:
                    at += 1
        except OSError as error:
            raise LabError(f"{root}: no night can be kept there ({error.strerror})") from None

    @property
    def id(self) -> str:
        return self.path.name

    def write(self, night: Night) -> None:
        write_atomic(self.path / _FILE, dump(night.model_dump(mode="json")))

    def read(self) -> Night:
        """UserError when it cannot be read, or is of another format."""
        content = load(self.path / _FILE)
        if content.get("format") != FORMAT:
            raise UserError(f"{self.path}: has format {content.get('format')}, not {FORMAT}")
        try:
            return Night.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(f"{self.path / _FILE}: {first['loc']}: {first['msg']}") from None

    def write_config(self, text: str, config: LabConfig) -> None:
        write_atomic(self.path / "lab.yaml", text)
        write_atomic(self.path / "config.json", dump(config.model_dump(mode="json")))

    def read_config(self) -> LabConfig:
        return LabConfig.model_validate(load(self.path / "config.json"))

    def write_summary(self, text: str) -> None:
        write_atomic(self.path / "summary.txt", text)


def name_night(at: float) -> str:
    """Such as 20261124T020000Z."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))


def list_nights(results: Path) -> list[NightFolder]:
    """Nights with a night.json, the oldest first."""
    root = results / NIGHTS
    paths = sorted(root.iterdir()) if root.is_dir() else []
    return [NightFolder(path) for path in paths if (path / _FILE).is_file()]


def read_nights(results: Path, most: int = 30) -> list[Night]:
    """The newest ones that can be read, the oldest first."""
    found = []
    for folder in list_nights(results)[-most:]:
        try:
            found.append(folder.read())
        except UserError:
            continue  # of another version, or damaged: it is not needed
    return found
