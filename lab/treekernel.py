"""A kernel from any Linux tree: a folder or a git URL, at a revision, with patches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.control import FRAGMENTS as CONTROL_FRAGMENTS
from lab.errors import LabError, UserError
from lab.files import PROJECT, cache_dir, locked, sha256_of
from lab.kernel import Kernel
from lab.kernelbuild import BuildSpec, build
from lab.kernelsource import GIT_ENV, RevisionSource, Source, TreeSource, git
from lab.process import run

# What every guest kind needs and what decides whether the bug can show; a tree that does not have
# an option is built without it.
FRAGMENTS = (
    *(path for path in CONTROL_FRAGMENTS if path.stem != "preempt"),
    PROJECT / "images" / "kconfig" / "old.config",
)
_URL = re.compile(r"(https?|git|ssh|file)://.+")


def tree_kernel(
    name: str,
    tree: str | Path,
    rev: str | None,
    patches: Sequence[Path],
    report: Callable[[str], None],
    *,
    fragments: Sequence[Path] = (),
    make: Mapping[str, str] | None = None,
    compiler: str = "gcc",
) -> Kernel:
    """Built, or from the cache. Revisions of one repository are built in one object folder.

    Raises UserError when tree, revision, patch or compiler is not there; BuildFailed (a
    LabError with the first error) when it does not configure, patch or build.
    """
    made = specification(
        name, tree, rev, patches, fragments=fragments, make=make, compiler=compiler
    )  # fmt: skip
    return build(made, report)


def specification(
    name: str,
    tree: str | Path,
    rev: str | None,
    patches: Sequence[Path] = (),
    *,
    fragments: Sequence[Path] = (),
    make: Mapping[str, str] | None = None,
    compiler: str = "gcc",
) -> BuildSpec:
    """What would be built; UserError when tree, revision, patch or compiler is not there."""
    for path in (*patches, *fragments):
        if not path.is_file():
            raise UserError(f"kernel {name}: there is no file {path}")
    _require(compiler, name)
    return BuildSpec(
        name=name,
        source=source(str(tree), rev),
        patches=tuple(patches),
        fragments=(*FRAGMENTS, *fragments),
        make_vars=tuple(sorted((make or {}).items())),
        compiler=compiler,
        any_version=True,
    )


def source(tree: str, rev: str | None) -> Source:
    """Where the tree's files come from; UserError when there is no such tree or revision."""
    if _URL.fullmatch(tree):
        return RevisionSource.find(_mirror(tree, rev), rev or "HEAD", tree)
    path = Path(tree)
    if not path.is_dir():
        raise UserError(f"{tree}: there is no such folder; a Linux tree or a git URL is wanted")
    if rev is None and not _is_bare(path):
        return TreeSource(path)
    if not _is_bare(path) and not (path / ".git").exists():
        raise UserError(f"{tree}: is no git repository, so it has no revision {rev!r}")
    return RevisionSource.find(path, rev or "HEAD", tree)


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir()


def _mirror(url: str, rev: str | None) -> Path:
    """A bare copy in the cache, brought up to date when it does not know the revision."""
    path = cache_dir() / "git" / sha256_of(url)[:16]
    with locked(path.with_name(f"{path.name}.lock")):
        try:
            if not path.is_dir():
                path.parent.mkdir(exist_ok=True)
                run(["git", "clone", "--quiet", "--mirror", "--", url, path], env=GIT_ENV)
            elif rev is None or not _knows(path, rev):
                git(path, "fetch", "--quiet", "--prune")
        except LabError as error:
            raise UserError(f"{url}: git cannot get it: {error}") from None
    return path


def _knows(repository: Path, rev: str) -> bool:
    try:
        git(repository, "cat-file", "-e", f"{rev}^{{commit}}")
    except LabError:
        return False
    return True


def _require(compiler: str, name: str) -> None:
    try:
        run([compiler, "--version"])
    except LabError:
        raise UserError(
            f"kernel {name}: the compiler {compiler!r} is not installed; apt has the gccs of this "
            "Debian"
        ) from None
