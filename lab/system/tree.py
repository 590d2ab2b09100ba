# SPDX-License-Identifier: GPL-2.0-or-later
"""A source tree of the user's: a folder as it lies there, or a commit of a git repository.

It is only read: nothing is built, checked out or written in it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from lab.errors import UserError
from lab.system.files import sha256_of
from lab.system.git import check_out, find_commit, git, read_file, read_title
from lab.system.process import run


@dataclass(frozen=True)
class Folder:
    """A tree as it lies in a folder, changes that are not committed included."""

    path: Path

    # rsync's patterns for what a build inside the tree leaves: it is not copied.
    BUILT: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.path)

    @property
    def id(self) -> str:
        """Commit and uncommitted change where git knows the tree, else names, sizes, times."""
        if not self._in_git:
            listing = run(["find", self.path, "-type", "f", "-printf", "%P %s %T@\n"])
            return sha256_of("tree", *sorted(listing.splitlines()))
        head = git("rev-parse", "HEAD", at=self.path)
        change = git("diff", "--binary", "HEAD", at=self.path)
        new = git("ls-files", "-o", "--exclude-standard", "-z", at=self.path)
        found = [self.path / name for name in new.split("\0") if name]
        times = [f"{p} {p.lstat().st_mtime_ns} {p.lstat().st_size}" for p in found if p.exists()]
        parts = (head, change, new, *times)
        return sha256_of("git", *(part.encode(errors="surrogateescape") for part in parts))

    @property
    def place(self) -> str:
        """The same for all that can follow each other in one folder that they are brought into."""
        return sha256_of("tree", str(self.path.resolve()))

    @property
    def provenance(self) -> dict[str, str]:
        """Where from, in plain words and hashes."""
        known = {"source_tree": str(self.path), "source_id": self.id}
        if self._in_git:
            known["source_commit"] = git("rev-parse", "HEAD", at=self.path).strip()
            changed = git("status", "--porcelain", at=self.path).splitlines()
            known["source_changes"] = f"{len(changed)} files not as committed" if changed else ""
        return known

    @property
    def again(self) -> list[str]:
        """Shell commands that fill the empty folder ./src with it, for a stranger."""
        return [shlex.join(["rsync", "-a", *self._excludes, f"{self.path}/", "src/"])]

    def read(self, path: str) -> str | None:
        """A file's text, odd bytes kept by surrogateescape; None when there is no such file."""
        file = self.path / path
        if not file.is_file() or file.is_symlink():
            return None
        return file.read_bytes().decode(errors="surrogateescape")

    def bring(self, into: Path, state: Path) -> None:
        """Make ``into`` this tree, writing only what differs; ``state``: a file for its own notes.

        By content (-c) and without times: an object is older than what changed under it.
        """
        state.unlink(missing_ok=True)
        into.mkdir(exist_ok=True)
        run(["rsync", "-rlpc", "--delete", *self._excludes, f"{self.path}/", f"{into}/"])

    @property
    def _in_git(self) -> bool:
        return (self.path / ".git").exists()

    @property
    def _excludes(self) -> list[str]:
        return [f"--exclude={name}" for name in ("/.git", *self.BUILT)]


@dataclass(frozen=True)
class Commit:
    """A commit of a git repository. Only its objects are read: no checkout, no ref, no lock there.

    All commits of one repository share a place: going from one to another touches the files
    that differ, so that make rebuilds no more than those.
    """

    repository: Path  # a work tree or a bare repository
    commit: str  # 40 hexadecimal digits
    origin: str  # the repository as the user named it
    revision: str = field(default="", compare=False)  # the commit as the user named it

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.origin} at {self.revision or self.commit[:12]}"

    @property
    def id(self) -> str:
        return sha256_of("commit", self.commit)

    @property
    def place(self) -> str:
        return sha256_of("repository", str(self.repository.resolve()))

    @property
    def provenance(self) -> dict[str, str]:
        """Where from, in plain words and hashes."""
        return {
            "source_tree": self.origin,
            "source_commit": self.commit,
            "source_title": read_title(self.repository, self.commit)[:120],
        }

    @property
    def again(self) -> list[str]:
        """Shell commands that fill the empty folder ./src with it, for a stranger."""
        archive = f"archive {self.commit} | tar -x -C src"
        if "://" in self.origin:
            return [
                f"git clone --bare {shlex.quote(self.origin)} repository",
                f"git -C repository {archive}",
            ]
        return [f"git -C {shlex.quote(str(self.repository.resolve()))} {archive}"]

    def read(self, path: str) -> str | None:
        """A file's text, odd bytes kept by surrogateescape; None when there is no such file."""
        return read_file(self.repository, self.commit, path)

    def bring(self, into: Path, state: Path) -> None:
        """By an index of our own: git then writes only the files that differ."""
        check_out(self.repository, self.commit, into, state)


def find_revision(repository: Path, revision: str, origin: str) -> str:
    """A commit's hash; UserError when the repository does not know the revision."""
    found = find_commit(repository, revision)
    if found is None:
        raise UserError(f"{origin}: git knows no commit {revision!r} there")
    return found


def is_bare(path: Path) -> bool:
    """Whether the folder is a git repository without a work tree."""
    return (path / "HEAD").is_file() and (path / "objects").is_dir()
