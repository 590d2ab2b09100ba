# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages that the lab needs (packages.txt), and which of them this machine lacks."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from lab.system.process import run
from lab.system.project import data

LIST = data("packages.txt")
_TESTS = "# checking"  # begins the packages that only tests and single commands need
_ALONE = "# testing alone"  # begins those that no command of the lab needs


@dataclass(frozen=True)
class Packages:
    """Names of Debian packages. ``extra``: the lab itself works without them."""

    needed: list[str]
    extra: list[str]

    def all(self) -> list[str]:
        return [*self.needed, *self.extra]


def read_packages(text: str) -> Packages:
    """What a text like packages.txt names: one package a line, comments after ``#``."""
    needed, _, extra = text.partition(f"\n{_ALONE}")[0].partition(f"\n{_TESTS}")
    return Packages(_names(needed), _names(extra.partition("\n")[2]))


def _names(text: str) -> list[str]:
    names = (line.split("#")[0].strip() for line in text.splitlines())
    return [name for name in names if name]


def is_debian() -> bool:
    """Whether dpkg, which is asked for packages, is there: on Debian and what is made of it."""
    return shutil.which("dpkg-query") is not None


def find_missing(packages: Packages) -> Packages:
    """Those that are not installed, by dpkg-query; LabError when it cannot be asked."""
    # Asked for all at once it would fail because of those that are missing.
    lines = run(["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n"]).splitlines()
    there = {line.split()[0] for line in lines if line.endswith(" installed")}
    return Packages(
        [name for name in packages.needed if name not in there],
        [name for name in packages.extra if name not in there],
    )
