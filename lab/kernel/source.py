"""Where a kernel's source comes from: a Debian source package, a folder, a commit of a git tree.

The user's tree is only read: nothing is built, checked out or written in it.
"""

from __future__ import annotations

import functools
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lab.errors import LabError, UserError
from lab.system import debian
from lab.system.files import sha256_of
from lab.system.process import run

Release = tuple[int, int, int]  # 3.19.8 is (3, 19, 8)
_NEWEST: Release = (99, 0, 0)
# What a build inside a tree leaves, and what makes the kernel refuse a separate object folder.
_BUILT = (
    "/.git", "*.o", "*.ko", "*.a", "*.cmd", ".tmp_*", "/.config", "/vmlinux*", "/System.map",
    "/include/config/auto.conf*", "/include/generated", "/include/linux/autoconf.h",
    "/include/linux/version.h", "/include/linux/utsrelease.h", "/include/asm",
    "/arch/x86/include/generated",
)  # fmt: skip


class Source(Protocol):
    """A source tree that can be put into a folder of the builder's own."""

    @property
    def id(self) -> str:
        """Changes whenever the content may have changed."""

    @property
    def place(self) -> str:
        """The same for all sources that can follow each other in one folder, as revisions can."""

    @property
    def release(self) -> Release:
        """The version that its Makefile names."""

    @property
    def provenance(self) -> dict[str, str]:
        """Where from, in plain words and hashes."""

    @property
    def again(self) -> list[str]:
        """Shell commands that fill the empty folder ./src with it, for a stranger."""

    def bring(self, into: Path, state: Path) -> None:
        """Make ``into`` this tree, writing only what differs; ``state``: a file of its own.

        What is written is newer than what was built from what was there.
        """


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
    def release(self) -> Release:
        """Of the package's name: Debian's kernel source is called after its series."""
        return _release(self.package.name.removeprefix("linux-source-"))

    @property
    def provenance(self) -> dict[str, str]:
        return {f"source_{key}": value for key, value in self.package.provenance().items()}

    @property
    def again(self) -> list[str]:
        return [
            f"apt-get download {self.package.name}={self.package.version}",
            f"dpkg-deb -x {self.package.name}_*.deb deb",
            f"tar -x -f deb/usr/src/{self._tarball.name} -C src --strip-components=1",
        ]

    def bring(self, into: Path, state: Path) -> None:
        if state.exists() and state.read_text() == self.id:
            return
        state.unlink(missing_ok=True)
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        run(["tar", "-x", "-m", "-f", self._tarball, "-C", into, "--strip-components=1"])
        state.write_text(self.id)


@dataclass(frozen=True)
class TreeSource:
    """A user's tree as it lies there, changes that are not committed included."""

    path: Path

    def __post_init__(self) -> None:
        if not (self.path / "Kbuild").is_file() or not (self.path / "Makefile").is_file():
            raise UserError(f"{self.path}: is no Linux source tree (no Makefile and Kbuild)")

    @property
    def id(self) -> str:
        """Commit and uncommitted change where git knows the tree, else names, sizes, times."""
        if not self._git:
            listing = run(["find", self.path, "-type", "f", "-printf", "%P %s %T@\n"])
            return sha256_of("tree", *sorted(listing.splitlines()))
        head = run(["git", "-C", self.path, "rev-parse", "HEAD"])
        change = run(["git", "-C", self.path, "diff", "--binary", "HEAD"])
        new = run(["git", "-C", self.path, "ls-files", "-o", "--exclude-standard"])
        found = [self.path / name for name in new.splitlines()]
        times = [f"{p} {p.lstat().st_mtime_ns} {p.lstat().st_size}" for p in found if p.exists()]
        return sha256_of("git", head, change, new, *times)

    @property
    def place(self) -> str:
        return sha256_of("tree", str(self.path.resolve()))

    @property
    def release(self) -> Release:
        return release_of((self.path / "Makefile").read_text(errors="replace"))

    @property
    def provenance(self) -> dict[str, str]:
        known = {"source_tree": str(self.path), "source_id": self.id}
        if self._git:
            known["source_commit"] = run(["git", "-C", self.path, "rev-parse", "HEAD"]).strip()
            changed = run(["git", "-C", self.path, "status", "--porcelain"]).splitlines()
            known["source_changes"] = f"{len(changed)} files not as committed" if changed else ""
        return known

    @property
    def again(self) -> list[str]:
        words = [f"--exclude={name}" for name in _BUILT]
        return [shlex.join(["rsync", "-a", *words, f"{self.path}/", "src/"])]

    @property
    def _git(self) -> bool:
        return (self.path / ".git").exists()

    def bring(self, into: Path, state: Path) -> None:
        """By content (-c) and without times: an object is older than what changed under it."""
        state.unlink(missing_ok=True)
        into.mkdir(exist_ok=True)
        excludes = [f"--exclude={name}" for name in _BUILT]
        run(["rsync", "-rlpc", "--delete", *excludes, f"{self.path}/", f"{into}/"])


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
    def release(self) -> Release:
        return _release_at(self.repository, self.commit, self.origin)

    @property
    def provenance(self) -> dict[str, str]:
        title = git(self.repository, "log", "-1", "--format=%s", self.commit).strip()
        return {
            "source_tree": self.origin,
            "source_commit": self.commit,
            "source_title": title[:120],
        }

    @property
    def again(self) -> list[str]:
        archive = f"archive {self.commit} | tar -x -C src"
        if "://" in self.origin:
            return [
                f"git clone --bare {shlex.quote(self.origin)} repository",
                f"git -C repository {archive}",
            ]
        return [f"git -C {shlex.quote(str(self.repository.resolve()))} {archive}"]

    def bring(self, into: Path, state: Path) -> None:
        """By an index of our own: git then writes only the files that differ."""
        into.mkdir(exist_ok=True)
        directory = git(self.repository, "rev-parse", "--absolute-git-dir").strip()
        state.with_name(f"{state.name}.lock").unlink(missing_ok=True)  # of one that was cut off
        run(
            ["git", f"--git-dir={directory}", f"--work-tree={into}", "-c", "core.autocrlf=false",
             "read-tree", "--reset", "-u", self.commit],
            cwd=into, env={**GIT_ENV, "GIT_INDEX_FILE": str(state)},
        )  # fmt: skip


# Nothing of the user's configuration or hooks may change what a commit looks like here.
GIT_ENV = {
    "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
}  # fmt: skip


def git(repository: Path, *words: str) -> str:
    """Run git in a repository; LabError when it fails."""
    return run(["git", "-C", repository, *words], env=GIT_ENV)


@functools.cache  # a commit's Makefile does not change
def _release_at(repository: Path, commit: str, origin: str) -> Release:
    try:
        makefile = git(repository, "show", f"{commit}:Makefile")
    except LabError:
        raise UserError(f"{origin}: {commit[:12]} is no Linux tree (no Makefile)") from None
    return release_of(makefile)


def release_of(makefile: str) -> Release:
    """VERSION, PATCHLEVEL and SUBLEVEL of a kernel's Makefile; ``_NEWEST`` where it tells none."""
    found = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)", makefile, re.M))
    if "VERSION" not in found or "PATCHLEVEL" not in found:
        return _NEWEST
    return int(found["VERSION"]), int(found["PATCHLEVEL"]), int(found.get("SUBLEVEL", 0))


def series(release: Release) -> tuple[int, ...]:
    """What stable releases are of: (4, 1), and (2, 6, 32) in the years of 2.6."""
    return release if release[:2] == (2, 6) else release[:2]


def _release(text: str) -> Release:
    numbers = [int(part) for part in re.findall(r"\d+", text)[:3]]
    numbers += [0] * (3 - len(numbers))
    return numbers[0], numbers[1], numbers[2]
