"""Where a kernel's source comes from: a Debian source package, or any tree of the user's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lab import debian
from lab.errors import LabError, UserError
from lab.files import sha256_of
from lab.process import run


class Source(Protocol):
    """A source tree that can be put into a folder of the builder's own."""

    @property
    def id(self) -> str:
        """Changes whenever the content may have changed."""

    @property
    def provenance(self) -> dict[str, str]:
        """Where from, in plain words and hashes."""

    def unpack(self, into: Path) -> None:
        """Fill the empty folder ``into`` with the tree's files."""


@dataclass(frozen=True)
class PackageSource:
    """A linux-source-X.Y package: a tarball in usr/src with one folder in it."""

    package: debian.Package
    _tarball: Path = field(repr=False, compare=False)

    @classmethod
    def download(cls, name: str) -> PackageSource:
        package = debian.download(name)
        tarballs = sorted((debian.unpack(package) / "usr" / "src").glob("linux-source-*.tar.*"))
        if len(tarballs) != 1:
            raise LabError(f"{package.name} should hold one tarball, it holds {len(tarballs)}")
        return cls(package, tarballs[0])

    @property
    def id(self) -> str:
        return sha256_of("package", self.package.name, self.package.version)

    @property
    def provenance(self) -> dict[str, str]:
        return {f"source_{key}": value for key, value in self.package.provenance().items()}

    def unpack(self, into: Path) -> None:
        run(["tar", "-x", "-f", self._tarball, "-C", into, "--strip-components=1"])


@dataclass(frozen=True)
class TreeSource:
    """A user's tree. It is copied, never built in or changed."""

    path: Path

    def __post_init__(self) -> None:
        if not (self.path / "Kbuild").is_file() or not (self.path / "Makefile").is_file():
            raise UserError(f"{self.path}: is no Linux source tree (no Makefile and Kbuild)")

    @property
    def id(self) -> str:
        """Commit and uncommitted change where git knows the tree, else names, sizes, times."""
        if (self.path / ".git").exists():
            head = run(["git", "-C", self.path, "rev-parse", "HEAD"])
            change = run(["git", "-C", self.path, "diff", "HEAD"])
            new = run(["git", "-C", self.path, "status", "--porcelain"])
            return sha256_of("git", head, change, new)
        listing = run(["find", self.path, "-type", "f", "-printf", "%P %s %T@\n"])
        return sha256_of("tree", *sorted(listing.splitlines()))

    @property
    def provenance(self) -> dict[str, str]:
        known = {"source_tree": str(self.path)}
        if (self.path / ".git").exists():
            known["source_commit"] = run(["git", "-C", self.path, "rev-parse", "HEAD"]).strip()
        return known

    def unpack(self, into: Path) -> None:
        run(["rsync", "-a", "--exclude=/.git", f"{self.path}/", f"{into}/"])
