# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels of a bisect's commits, from the builder of all trees or out of its cache.

Revisions of one repository share an object folder there, so that going from one commit to
another rebuilds only what differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from lab.errors import LabError
from lab.kernel.build import build, find_log, is_built
from lab.kernel.make import BuildFailed
from lab.kernel.source import RevisionSource
from lab.kernel.spec import BuildSpec
from lab.kernel.tree import specify

Report = Callable[[str], None]
# A build that ends by one of these says nothing about the commit.
_OUR_FAULT = re.compile(r"No space left on device|Cannot allocate memory|\bKilled\b|Terminated")


@dataclass(frozen=True)
class Built:
    """A commit's kernel. ``seconds`` is 0 when it was there already."""

    image: Path
    seconds: float = 0.0
    provenance: dict[str, Any] = field(default_factory=dict)
    log: Path | None = None


class CommitFailed(Exception):  # noqa: N818 (a finding about the commit rather than a fault)
    """A commit's kernel does not build. ``log`` has all of it, where there is one."""

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


class Kernels(Protocol):
    """Where the kernels of a bisect come from."""

    @property
    def reverts(self) -> bool:
        """Whether a change can be reverted and the result built."""

    def label(self, commit: str) -> str:
        """The kernel's name in cells and tables."""

    def is_built(self, commit: str) -> bool:
        """Whether ``kernel`` would find it without a build."""

    def kernel(self, commit: str, report: Report, patches: tuple[Path, ...] = ()) -> Built:
        """Find it or build it; CommitFailed when the commit does not build."""


@dataclass(frozen=True)
class BuildSettings:
    """What all kernels of a bisect are built with."""

    compiler: str = "gcc"
    make: Mapping[str, str] = field(default_factory=dict)
    fragments: tuple[Path, ...] = ()


class TreeKernels:
    """Kernels built from a git repository's commits."""

    reverts = True

    def __init__(self, tree: Path, commit: str, settings: BuildSettings) -> None:
        """``commit``: any of the tree's commits."""
        self._base = specify(
            "bisect", tree, commit, fragments=settings.fragments, make=settings.make,
            compiler=settings.compiler,
        )  # fmt: skip

    def label(self, commit: str) -> str:
        return commit[:12]

    def is_built(self, commit: str) -> bool:
        return is_built(self._spec(commit, ()))

    def kernel(
        self, commit: str, report: Callable[[str], None], patches: tuple[Path, ...] = ()
    ) -> Built:
        spec = self._spec(commit, patches)
        fresh = not is_built(spec)
        try:
            made = build(spec, report)
        except BuildFailed as error:
            log = find_log(spec)
            if not log.is_file() or _OUR_FAULT.search(log.read_text(errors="replace")):
                raise LabError(str(error)) from error
            raise CommitFailed(str(error), log) from error
        seconds = float(made.provenance.get("seconds", 0.0)) if fresh else 0.0
        return Built(made.image, seconds, made.provenance, made.image.with_name("build.log"))

    def _spec(self, commit: str, patches: tuple[Path, ...]) -> BuildSpec:
        source = self._base.source
        assert isinstance(source, RevisionSource)
        moved = replace(source, commit=commit)
        return replace(self._base, name=commit[:12], source=moved, patches=patches)
