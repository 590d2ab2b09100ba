# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a kernel's source comes from: a package, a release, a folder, a commit of a git tree."""

from __future__ import annotations

import functools
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lab.config.kernel import KERNEL_ORG
from lab.console.release import Release, read_release
from lab.errors import LabError, UserError
from lab.kernel.archive import Tarball, find_folders
from lab.system import debian
from lab.system.files import sha256_of
from lab.system.git import read_file
from lab.system.process import run
from lab.system.tarball import unpack
from lab.system.tree import Commit, Folder, find_revision

_NEWEST: Release = (99, 0, 0)


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
        return read_release(self.package.name.removeprefix("linux-source-"))

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
class ReleaseSource:
    """A release of kernel.org: its tarball, verified."""

    tarball: Tarball

    @property
    def id(self) -> str:
        return sha256_of("release", self.tarball.version, self.tarball.sha256)

    @property
    def place(self) -> str:
        return self.id

    @property
    def release(self) -> Release:
        return read_release(self.tarball.version)

    @property
    def provenance(self) -> dict[str, str]:
        made = self.tarball
        return {
            "source_release": made.version, "source_sha256": made.sha256,
            "source_origin": made.origin, "source_proof": made.proof,
            "source_signer": made.signer,
        }  # fmt: skip

    @property
    def again(self) -> list[str]:
        name = self.tarball.file.name
        # A mirror has what kernel.org has, or the hash differs.
        address = f"{KERNEL_ORG}/{find_folders(self.tarball.version)[-1]}/{name}"
        return [
            f"curl -f -O {address}",
            f"echo '{self.tarball.sha256}  {name}' | sha256sum -c",
            f"tar -x -f {name} -C src --strip-components=1",
        ]

    def bring(self, into: Path, state: Path) -> None:
        if state.exists() and state.read_text() == self.id:
            return
        state.unlink(missing_ok=True)
        shutil.rmtree(into, ignore_errors=True)
        unpack(self.tarball.file, into)
        state.write_text(self.id)


@dataclass(frozen=True)
class TreeSource(Folder):
    """A user's tree as it lies there, changes that are not committed included."""

    # And what makes the kernel refuse a separate object folder.
    BUILT = (
        "*.o", "*.ko", "*.a", "*.cmd", ".tmp_*", "/.config", "/vmlinux*", "/System.map",
        "/include/config/auto.conf*", "/include/generated", "/include/linux/autoconf.h",
        "/include/linux/version.h", "/include/linux/utsrelease.h", "/include/asm",
        "/arch/x86/include/generated",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if not (self.path / "Kbuild").is_file() or not (self.path / "Makefile").is_file():
            raise UserError(f"{self.path}: is not a Linux source tree (no Makefile and Kbuild)")

    @property
    def release(self) -> Release:
        return read_makefile((self.path / "Makefile").read_text(errors="replace"))


@dataclass(frozen=True)
class RevisionSource(Commit):
    """A commit of a git repository of Linux."""

    @classmethod
    def find(cls, repository: Path, revision: str, origin: str) -> RevisionSource:
        """UserError when the repository does not know the revision."""
        return cls(repository, find_revision(repository, revision, origin), origin, revision)

    @property
    def release(self) -> Release:
        return _read_release_at(self.repository, self.commit, self.origin)


@functools.cache  # a commit's Makefile does not change
def _read_release_at(repository: Path, commit: str, origin: str) -> Release:
    makefile = read_file(repository, commit, "Makefile")
    if makefile is None:
        raise UserError(f"{origin}: {commit[:12]} is not a Linux tree (no Makefile)")
    return read_makefile(makefile)


def read_makefile(makefile: str) -> Release:
    """VERSION, PATCHLEVEL and SUBLEVEL of a kernel's Makefile; ``_NEWEST`` where it names none."""
    found = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)", makefile, re.M))
    if "VERSION" not in found or "PATCHLEVEL" not in found:
        return _NEWEST
    return int(found["VERSION"]), int(found["PATCHLEVEL"]), int(found.get("SUBLEVEL", 0))


def find_series(release: Release) -> tuple[int, ...]:
    """What stable releases are of: (4, 1), and (2, 6, 32) in the years of 2.6."""
    return release if release[:2] == (2, 6) else release[:2]
