# SPDX-License-Identifier: GPL-2.0-or-later
"""What is at its newest tonight: the commits of git trees, and apt's lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.config.lab import LabConfig
from lab.errors import LabError
from lab.kernel.tree import find_tip
from lab.system import debian


def find_commits(config: LabConfig, names: Sequence[str]) -> dict[str, str]:
    """The newest commit of each kernel's revision, by the kernel's name; URLs are fetched."""
    found = {}
    for name in names:
        kernel = config.kernels[name]
        assert kernel.tree is not None
        found[name] = find_tip(kernel.tree, kernel.rev)[1]
    return found


def pin(config: LabConfig, commits: Mapping[str, str]) -> LabConfig:
    """The same with those kernels at those commits: pure. A branch may move during a night."""
    kernels = {
        name: kernel.model_copy(update={"rev": commits[name]}) if name in commits else kernel
        for name, kernel in config.kernels.items()
    }
    return config.model_copy(update={"kernels": kernels})


def refresh_packages() -> str:
    """Have apt fetch its lists; a note where it could not, as without root."""
    try:
        debian.update()
    except LabError as error:
        return f"packages are as of apt's last update, which failed tonight: {error}"
    return ""
