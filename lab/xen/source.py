# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a hypervisor's source comes from: Debian's source package, a folder, a commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.config.xen import XenConfig
from lab.errors import UserError
from lab.system import debian
from lab.system.git import find_commit
from lab.system.process import run
from lab.system.tree import Commit, Folder
from lab.xen.package import find_package

Report = Callable[[str], None]
_PACKAGE_SOURCE = "xen"  # Debian's name of it


class Source(Protocol):
    """Where Xen's source comes from. ``id`` changes with its content."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def id(self) -> str: ...

    @property
    def provenance(self) -> dict[str, str]: ...

    def bring(self, into: Path, state: Path) -> None:
        """Make the folder ``into`` this source; ``state``: a file for its own notes."""


@dataclass(frozen=True)
class _Package:
    """A Debian source package."""

    package: debian.Package

    @property
    def name(self) -> str:
        return f"the package {self.package.name}"

    @property
    def id(self) -> str:
        return self.package.sha256

    @property
    def provenance(self) -> dict[str, str]:
        return self.package.provenance()

    def bring(self, into: Path, _state: Path) -> None:
        # apt has checked the files against the archive's signature already.
        run(["dpkg-source", "--no-check", "-x", self.package.file, into])


class _Tree(Folder):
    """A user's tree as it lies there. A header made in it would be newer than what it is of."""

    BUILT = (
        "*.o", "*.a", ".*.d", ".*.d2", ".*.cmd", "*.lnk", "asm-offsets.[hs]", "asm-macros.[hi]",
        "cpuid-autogen.h", "cpu-policy-autogen.h", "generated", "/xen/.banner", "/xen/.config*",
        "/xen/arch/x86/boot/*.bin", "/xen/arch/x86/xen.lds", "/xen/include/asm",
        "/xen/include/compat", "/xen/include/config", "/xen/include/xen/compile.h", "/xen/xen",
        "/xen/xen-syms*", "/xen/xen.*", "/xen/xsm/flask/include/*_to_string.h",
        "/xen/xsm/flask/include/av_permissions.h", "/xen/xsm/flask/include/flask.h",
    )  # fmt: skip


def find_source(config: XenConfig, report: Report) -> tuple[Source, str]:
    """The source, and in a word what it is."""
    if config.tree is not None:
        return _find_tree(config.tree, config.rev), "tree"
    found = _fetch_package(config, report)
    return _Package(found), f"{found.name} source {found.version}"


def _fetch_package(config: XenConfig, report: Report) -> debian.Package:
    """The source of the version that the hypervisor's package has, where the registry has it."""
    assert config.source is not None
    wanted = None
    if config.source == _PACKAGE_SOURCE:
        wanted = debian.find_candidate(find_package(config))
    return debian.fetch_source(config.source, wanted, report)


def _find_tree(tree: Path, revision: str | None) -> Folder | Commit:
    if revision is None:
        # A bare repository has no files: of a revision git says whether it is there.
        if not (tree / "xen" / "Makefile").is_file():
            raise UserError(f"xen.tree: {tree} is not a Xen source tree (no xen/Makefile)")
        return _Tree(tree)
    commit = find_commit(tree, revision)
    if commit is None:
        raise UserError(f"xen.rev: {revision!r} is not a revision of {tree}")
    return Commit(tree, commit, str(tree), revision)
