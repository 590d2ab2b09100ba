# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel from any Linux tree: a folder or a git URL at a revision, or a release; with patches."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.console.release import Release
from lab.errors import LabError, UserError
from lab.kernel import baseconfig
from lab.kernel.archive import Archive, fetch
from lab.kernel.build import build
from lab.kernel.control import FRAGMENTS as CONTROL_FRAGMENTS
from lab.kernel.kernel import Kernel
from lab.kernel.source import ReleaseSource, RevisionSource, Source, TreeSource
from lab.kernel.spec import BuildSpec
from lab.system.cache import cache_dir, locked
from lab.system.files import sha256_of
from lab.system.git import find_commit, git
from lab.system.project import data
from lab.system.tree import find_revision, is_bare

# What every guest kind needs and what decides whether the bug can show; what a version does not
# have is left out.
FRAGMENTS = (
    *(path for path in CONTROL_FRAGMENTS if path.stem != "preempt"),
    data("images", "kconfig", "old.config"),
)
# Below this series the machine's own gcc is the last choice: an older one needs fewer fix-ups.
_OLD: tuple[int, int] = (4, 10)
_OLDER_COMPILERS = ("gcc-11", "gcc-12", "gcc-13")
_TAKEN = ("ARCH", "O", "CC", "HOSTCC", "KCONFIG_ALLCONFIG")  # by the builder itself
_URL = re.compile(r"(https?|git|ssh|file)://.+")


def build_tree(
    name: str,
    tree: str | Path,
    rev: str | None,
    patches: Sequence[Path],
    report: Callable[[str], None],
    *,
    fragments: Sequence[Path] = (),
    make: Mapping[str, str] | None = None,
    compiler: str | None = None,
    config: Path | None = None,
    objects: Path | None = None,
) -> Kernel:
    """Built, or from the cache. Revisions of one repository are built in one object folder.

    ``config``: a whole configuration below the lab's fragments, or an image that holds one.
    ``objects``: another folder to build in and to keep. Raises UserError when tree, revision,
    patch or compiler is not there; BuildFailed (a LabError with the first error) when it does
    not patch, configure or build.
    """
    made = specify(
        name, tree, rev, patches,
        fragments=fragments, make=make, compiler=compiler, config=config,
    )  # fmt: skip
    return build(made, report, objects)


def build_release(
    name: str,
    version: str,
    archive: Archive,
    patches: Sequence[Path],
    report: Callable[[str], None],
    *,
    fragments: Sequence[Path] = (),
    make: Mapping[str, str] | None = None,
    compiler: str | None = None,
    config: Path | None = None,
) -> Kernel:
    """A release of kernel.org by its version, built as a tree is. Errors as ``archive.fetch``'s."""
    _check_words(name, patches, fragments, make)
    source = ReleaseSource(fetch(version, archive, report))
    made = _specify_source(
        name, source, patches,
        fragments=fragments, make=make, compiler=compiler, config=config,
    )  # fmt: skip
    return build(made, report)


def specify(
    name: str,
    tree: str | Path,
    rev: str | None,
    patches: Sequence[Path] = (),
    *,
    fragments: Sequence[Path] = (),
    make: Mapping[str, str] | None = None,
    compiler: str | None = None,
    config: Path | None = None,
) -> BuildSpec:
    """What would be built; UserError when tree, revision, patch or compiler is not there."""
    _check_words(name, patches, fragments, make)
    return _specify_source(
        name, find_source(str(tree), rev), patches,
        fragments=fragments, make=make, compiler=compiler, config=config,
    )  # fmt: skip


def _check_words(
    name: str, patches: Sequence[Path], fragments: Sequence[Path], make: Mapping[str, str] | None
) -> None:
    for path in (*patches, *fragments):
        if not path.exists():
            raise UserError(f"kernel {name}: there is no file {path}")
    taken = next((key for key in make or {} if key in _TAKEN), None)
    if taken:
        remedy = "give a compiler instead" if "CC" in taken else "the builder sets it itself"
        raise UserError(f"kernel {name}: the make variable {taken} cannot be given: {remedy}")


def _specify_source(
    name: str,
    found: Source,
    patches: Sequence[Path],
    *,
    fragments: Sequence[Path],
    make: Mapping[str, str] | None,
    compiler: str | None,
    config: Path | None,
) -> BuildSpec:
    return BuildSpec(
        name=name,
        source=found,
        patches=tuple(patches),
        base=FRAGMENTS,
        fragments=tuple(fragments),
        make_vars=tuple(sorted((make or {}).items())),
        compiler=choose_compiler(compiler, found.release, name),
        config=baseconfig.read(config) if config is not None else None,
    )


def choose_compiler(wanted: str | None, release: Release, name: str = "") -> str:
    """The user's, else for an old tree the oldest gcc here, else gcc; UserError if not there."""
    if wanted is not None:
        if shutil.which(wanted) is None:
            raise UserError(
                f"kernel {name}: the compiler {wanted!r} is not installed; apt has the gccs of "
                "this Debian"
            )
        return wanted
    if release[:2] < _OLD:
        return next((known for known in _OLDER_COMPILERS if shutil.which(known)), "gcc")
    return "gcc"


def find_source(tree: str, rev: str | None) -> Source:
    """Where the tree's files come from; UserError when the tree or revision does not exist."""
    if _URL.fullmatch(tree):
        return RevisionSource.find(_update_mirror(tree, rev), rev or "HEAD", tree)
    path = Path(tree)
    if not path.is_dir():
        raise UserError(f"{tree}: there is no such folder; a Linux tree or a git URL is wanted")
    if rev is None and not is_bare(path):
        return TreeSource(path)
    if not is_bare(path) and not (path / ".git").exists():
        raise UserError(f"{tree}: is not a git repository, so it has no revision {rev!r}")
    return RevisionSource.find(path, rev or "HEAD", tree)


def find_tip(tree: str, rev: str | None) -> tuple[Path, str]:
    """The repository with the tree's history, and its newest commit of a revision (HEAD).

    A URL is fetched first. UserError when there is no such tree or revision.
    """
    path = _update_mirror(tree, None) if _URL.fullmatch(tree) else Path(tree)
    if not path.is_dir():
        raise UserError(f"{tree}: there is no such folder; a Linux tree or a git URL is wanted")
    return path, find_revision(path, rev or "HEAD", tree)


def _update_mirror(url: str, rev: str | None) -> Path:
    """A bare copy in the cache, brought up to date when it does not know the revision."""
    path = cache_dir() / "git" / sha256_of(url)[:16]
    with locked(path.with_name(f"{path.name}.lock")):
        try:
            if not path.is_dir():
                path.parent.mkdir(exist_ok=True)
                git("clone", "--quiet", "--mirror", "--", url, path)
            elif rev is None or find_commit(path, rev) is None:
                git("fetch", "--quiet", "--prune", at=path)
        except LabError as error:
            raise UserError(f"{url}: git cannot get it: {error}") from None
    return path
