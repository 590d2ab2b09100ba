# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder of prebuilt kernels, ordered by version, as a history that git can bisect.

Each kernel becomes a commit of a repository in the run's folder; its one file names the image
and its hash. So git chooses, skips, logs and resumes here too, and nothing is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.bisect.kernels import Built
from lab.bisect.repo import BisectRepo
from lab.errors import LabError, UserError
from lab.kernel import image as bzimage
from lab.system import debian
from lab.system.files import sha256

_UNFIT = re.compile(r"[^A-Za-z0-9._+-]")


@dataclass(frozen=True)
class Entry:
    """A kernel of the folder: a bzImage, or a Debian package with one in it."""

    path: Path
    version: str

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def order(self) -> tuple[object, ...]:
        """By version, then by name, both as people read them."""
        return (version_key(self.version), version_key(self.name))


def version_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts 3.9 before 3.10, and 6.1-rc2 and 6.1~rc2 before 6.1."""
    key: list[tuple[int, int, str]] = []
    for number, word, mark in re.findall(r"(\d+)|([A-Za-z]+)|([^0-9A-Za-z])", text):
        if number:
            key.append((3, int(number), ""))
        elif word:
            key.append((1 if word == "rc" else 2, 0, word))
        elif mark == "~":
            key.append((-1, 0, ""))
    return (*key, (1, 1, ""))  # the end: after an rc, before a further number or word


def is_series(folder: Path) -> bool:
    """Whether a folder is not a repository and holds kernels."""
    if not folder.is_dir() or (folder / ".git").exists() or (folder / "HEAD").is_file():
        return False
    return any(_looks_like_kernel(path) for path in folder.iterdir())


def entries(folder: Path) -> list[Entry]:
    """The folder's kernels, oldest first."""
    found = []
    for path in sorted(folder.iterdir()):
        if not _looks_like_kernel(path):
            continue
        if path.suffix == ".deb":
            found.append(Entry(path, debian.read_deb(path).version))
        else:
            found.append(Entry(path, bzimage.read(path).version))
    return sorted(found, key=lambda entry: entry.order)


def _looks_like_kernel(path: Path) -> bool:
    if path.suffix == ".deb":
        return path.name.startswith("linux-image-") and "-dbg_" not in path.name
    if not path.is_file() or path.stat().st_size < 0x260:
        return False
    with path.open("rb") as image:
        return image.read(0x206)[0x202:] == b"HdrS"


def index_of(series: Sequence[Entry], wanted: str) -> int:
    """The index of a kernel, given by file name or by a version that only one has."""
    named = [i for i, entry in enumerate(series) if wanted == entry.name]
    versions = [i for i, entry in enumerate(series) if wanted == entry.version]
    found = named or versions
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{entry.name} ({entry.version})" for entry in series)
    what = "several kernels match" if found else "no kernel matches"
    raise UserError(f"{what} {wanted!r}: name a file, or a version that only one has, of {names}")


def find_ends(series: Sequence[Entry], good: str, bad: str, find_fix: bool) -> tuple[int, int]:
    """The indices of the good and the bad end; UserError when their order is wrong."""
    at_good, at_bad = index_of(series, good), index_of(series, bad)
    if at_good == at_bad:
        raise UserError("--good and --bad are the same kernel: there is nothing between them")
    if (at_good > at_bad) != find_fix:
        newer = "good" if at_good > at_bad else "bad"
        wanted = "leave out --find-fix" if find_fix else "add --find-fix"
        raise UserError(f"the {newer} end is the newer one: {wanted}, or exchange the ends")
    return at_good, at_bad


def history(series: Sequence[Entry], into: Path) -> tuple[BisectRepo, list[str]]:
    """A repository with a commit for each kernel; the commits, oldest first."""
    repo = BisectRepo.empty(into)
    commits: list[str] = []
    for entry in series:
        content = f"{entry.path.resolve()}\n{sha256(entry.path)}\n"
        message = f"{entry.version} ({entry.name})"
        commits.append(repo.add({"kernel": content}, message, commits[-1:]))
    repo.name("refs/heads/series", commits[-1])
    return repo, commits


class SeriesKernels:
    """Hands out the images; nothing is built."""

    reverts = False

    def __init__(self, repo: BisectRepo) -> None:
        self._repo = repo

    def label(self, commit: str) -> str:
        name = Path(self._file(commit)[0]).name
        return _UNFIT.sub("-", name.removesuffix(".bzImage").removesuffix(".deb"))[:48].strip(".-")

    def is_built(self, commit: str) -> bool:  # noqa: ARG002 (all are)
        return True

    def kernel(
        self, commit: str, report: Callable[[str], None], patches: tuple[Path, ...] = ()
    ) -> Built:
        assert not patches  # reverts is False
        path, digest = self._file(commit)
        file = Path(path)
        if not file.is_file() or sha256(file) != digest:
            raise LabError(f"{file} is not what it was when this bisect began")
        if file.suffix == ".deb":
            from lab.config.kernel import KernelConfig
            from lab.kernel.resolve import resolve

            kernel = resolve(file.name, KernelConfig(deb=file), report).kernel
            return Built(kernel.image, provenance=kernel.provenance)
        return Built(file, provenance={"source": "image", "image": path, "sha256": digest})

    def _file(self, commit: str) -> tuple[str, str]:
        path, digest = self._repo.file(commit, "kernel").splitlines()
        return path, digest
