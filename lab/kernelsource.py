"""Where a kernel's source comes from: a Debian source package, or any tree of the user's."""

from __future__ import annotations

import shlex
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

    @property
    def place(self) -> str:
        """The same for all sources that can be moved to in one folder, as revisions can."""

    @property
    def again(self) -> list[str]:
        """Shell commands that put the tree into ./src."""

    def unpack(self, into: Path) -> None:
        """Fill the empty folder ``into`` with the tree's files."""

    def move(self, into: Path) -> None:
        """Bring a folder with another source of the same place to this one."""


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
    def place(self) -> str:
        return self.id

    @property
    def again(self) -> list[str]:
        name = f"{self.package.name}={self.package.version}"
        return [f"apt-get download {shlex.quote(name)}  # and its tarball of usr/src into src"]

    @property
    def provenance(self) -> dict[str, str]:
        return {f"source_{key}": value for key, value in self.package.provenance().items()}

    def unpack(self, into: Path) -> None:
        run(["tar", "-x", "-f", self._tarball, "-C", into, "--strip-components=1"])

    def move(self, into: Path) -> None:
        raise AssertionError(f"a package's source in {into} has no other revision")


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

    @property
    def place(self) -> str:
        return self.id

    @property
    def again(self) -> list[str]:
        return [f"rsync -a --exclude=/.git {shlex.quote(str(self.path))}/ src/"]

    def unpack(self, into: Path) -> None:
        run(["rsync", "-a", "--exclude=/.git", f"{self.path}/", f"{into}/"])

    def move(self, into: Path) -> None:
        raise AssertionError(f"a folder's source in {into} has no other revision")


@dataclass(frozen=True)
class RevisionSource:
    """A commit of a git repository. Only its objects are read: no checkout, no ref, no lock there.

    All revisions of one repository share a place: going from one to another touches the files
    that differ, so that make rebuilds no more than those.
    """

    repository: Path  # a work tree or a bare repository
    commit: str  # 40 hexadecimal digits
    origin: str  # as the user named it

    @classmethod
    def find(cls, repository: Path, revision: str, origin: str) -> RevisionSource:
        """UserError when the repository does not know the revision."""
        wanted = f"{revision}^{{commit}}"
        try:
            found = git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
        except LabError:
            raise UserError(f"{origin}: git knows no commit {revision!r} there") from None
        return cls(repository, found.strip(), origin)

    @property
    def id(self) -> str:
        return sha256_of("commit", self.commit)

    @property
    def place(self) -> str:
        return sha256_of("repository", str(self.repository.resolve()))

    @property
    def again(self) -> list[str]:
        return [
            f"git clone --no-checkout {shlex.quote(self.origin)} src",
            f"git -C src checkout --detach {self.commit}",
        ]

    @property
    def provenance(self) -> dict[str, str]:
        return {"source_tree": self.origin, "source_commit": self.commit}

    def unpack(self, into: Path) -> None:
        clone: list[str | Path] = ["git", "clone", "--quiet", "--shared", "--no-checkout", "--"]
        run([*clone, self.repository, into], env=GIT_ENV)
        self.move(into)

    def move(self, into: Path) -> None:
        git(into, "checkout", "--quiet", "--force", "--detach", self.commit)
        git(into, "clean", "-fdxq")


# Nothing of the user's configuration or hooks may change what a commit looks like here.
GIT_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
}  # fmt: skip


def git(repository: Path, *words: str) -> str:
    """Run git in a repository; LabError when it fails."""
    return run(["git", "-C", repository, *words], env=GIT_ENV)
