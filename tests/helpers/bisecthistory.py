# SPDX-License-Identifier: GPL-2.0-or-later
"""A small real history made from the control kernel's source, for bisects that build and boot.

What a kernel of it says of itself is the same whether it has the mistake or not
(``state=unsaid``), as with any history that somebody bisects.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.kernel.control import PATCHES
from lab.kernel.source import PackageSource
from lab.system.cache import building, cache_dir, locked
from lab.system.files import sha256_of

SERIES = "6.1"
CORE = "arch/x86/kernel/fpu/core.c"
# What no build for x86-64 with images/kconfig compiles: most of the source. Kconfig and make
# want to see their own files there.
_UNUSED = (
    "Documentation", "samples", "LICENSES", "sound", "tools/testing", "tools/perf", "drivers/gpu",
    "drivers/infiniband", "drivers/media", "drivers/net", "drivers/scsi", "drivers/staging",
)  # fmt: skip
_READ_ANYWAY = ("Kconfig", "Makefile", "Kbuild")
_DATE = "2020-01-01T00:00:00Z"


@dataclass(frozen=True)
class Change:
    """A commit: in CORE, ``old`` (found once) becomes ``new``. ``does``: how its kernel behaves."""

    does: str
    message: str
    old: str
    new: str

    def applied(self, source: str) -> str:
        assert source.count(self.old) == 1, f"{self.message}: {source.count(self.old)} places"
        return source.replace(self.old, self.new)

    def undone(self, does: str, message: str) -> Change:
        return Change(does, message, self.new, self.old)


_KMALLOC = """\
		if (xen_pv_domain())
			fpu_set_ts();
		local_irq_enable();
		fpu->first_use = kmalloc(fpu_area_size(), GFP_KERNEL);
		local_irq_disable();
		if (xen_pv_domain())
			fpu_clear_ts();
"""
_WITHOUT = """\
		local_irq_enable();
		fpu->first_use = kmalloc(fpu_area_size(), GFP_KERNEL);
		local_irq_disable();
"""
_SAYS = '\tpr_info("x86/fpu: lab control kernel'
_MISTAKE = Change("bad", "x86/fpu: do not touch TS around the allocation", _KMALLOC, _WITHOUT)
_DIES = Change(
    "dies", "x86/fpu: check that the FPU is eager", _SAYS, f"\tBUG_ON(!fpu_eager);\n{_SAYS}"
)
_EAGER = Change(
    "eager", "x86/fpu: eager by default",
    "static bool fpu_eager __ro_after_init;", "static bool fpu_eager __ro_after_init = true;",
)  # fmt: skip

# Ten commits on a clean one.
CHANGES = (
    Change("good", "x86/fpu: say how large an area is", _SAYS,
           '\tpr_info("x86/fpu: areas of %u bytes\\n", fpu_user_cfg.default_size);\n' + _SAYS),
    Change("unbuilt", "x86/fpu: use fpu_area_size()",
           "kmalloc(fpu_user_cfg.default_size, GFP_KERNEL);\n\t\tlocal_irq_disable",
           "kmalloc(fpu_area_size(), GFP_KERNEL);\n\t\tlocal_irq_disable"),
    Change("good", "x86/fpu: add fpu_area_size()", "/*\n * #NM from user space: make current",
           "static unsigned int fpu_area_size(void)\n{\n\treturn fpu_user_cfg.default_size;\n}\n\n"
           "/*\n * #NM from user space: make current"),
    _MISTAKE,
    _DIES,
    _DIES.undone("bad", "x86/fpu: do not check that the FPU is eager"),
    _EAGER,
    _EAGER.undone("bad", "x86/fpu: lazy by default again"),
    _MISTAKE.undone("good", "x86/fpu: set TS over the allocation again"),
    Change("good", "x86/fpu: say it in other words", "x86/fpu: areas of", "x86/fpu: an area has"),
)  # fmt: skip


@dataclass(frozen=True)
class History:
    """``commits[0]`` is the clean beginning, ``commits[n]`` has the first n CHANGES."""

    tree: Path
    commits: list[str]

    def does(self, number: int) -> str:
        return "good" if number == 0 else CHANGES[number - 1].does


def history(mark: str) -> History:
    """The history; ``mark`` goes into its source, so that another one is built anew.

    The repository stays in the cache: a bisect's object folder is its own, so that later ones
    rebuild only what differs.
    """
    tree = _repository()
    if (tree / "BISECT_LOG").exists():  # of a test that was killed
        _git(tree, "bisect", "reset")
    for ref in _git(tree, "for-each-ref", "--format=%(refname)", "refs/heads").split():
        if ref != "refs/heads/main":  # a branch that another test moved
            _git(tree, "update-ref", "-d", ref)
    core = _git(tree, "show", f"base:{CORE}") + f"/* {mark} */\n"
    assert core.count("state=fixed") == 1
    core = core.replace("state=fixed", "state=unsaid")
    commits = [_commit(tree, "base", core, "x86/fpu: lazy, TS set over the allocation", [])]
    for change in CHANGES:
        core = change.applied(core)
        commits.append(_commit(tree, "base", core, change.message, [commits[-1]]))
    _git(tree, "update-ref", "refs/heads/main", commits[-1])
    return History(tree, commits)


def _repository() -> Path:
    """Debian's source with the control kernel's patches as one commit, the tag base."""
    source = PackageSource.download(f"linux-source-{SERIES}")
    patches = sorted((PATCHES / SERIES).glob("*.patch"))
    here = Path(__file__).read_text()
    key = sha256_of(source.id, here.partition("_KMALLOC")[0], *(p.read_text() for p in patches))
    final = cache_dir() / "bisect-history" / key[:16]
    with locked(final.with_name(f"{final.name}.lock")):
        if not final.is_dir():
            with building(final) as scratch, tempfile.TemporaryDirectory(dir=scratch) as files:
                _unpack(source, patches, Path(files) / "src")
                _git(scratch, "init", "-q", "--bare", "-b", "main", str(scratch))
                tree = _added(scratch, Path(files) / "src")
                made = _git(scratch, "commit-tree", tree, "-m", "base").strip()
                _git(scratch, "update-ref", "refs/tags/base", made)
    return final


def _unpack(source: PackageSource, patches: list[Path], into: Path) -> None:
    source.bring(into, into.with_name(f"{into.name}.state"))
    others = [path for path in (into / "arch").iterdir() if path.is_dir() and path.name != "x86"]
    for folder in (*(into / name for name in _UNUSED), *others):
        for path in folder.rglob("*"):
            if not path.is_dir() and not path.name.startswith(_READ_ANYWAY):
                path.unlink()
    for patch in patches:
        words = ["patch", "-p1", "-F0", "--batch", "-s", "--no-backup-if-mismatch"]
        subprocess.run([*words, "-i", str(patch)], cwd=into, check=True)


def _added(repository: Path, files: Path) -> str:
    """The hash of a folder's content, its files being in the repository from now on."""
    fast = ["-c", "core.compression=1", "-c", "gc.auto=0", "-c", "core.fsync=none"]
    words = [*fast, "--work-tree", str(files), "add", "--all", "--force", "."]
    _git(repository, *words, cwd=files)
    tree = _git(repository, "write-tree").strip()
    (repository / "index").unlink()
    return tree


def _commit(tree: Path, base: str, core: str, message: str, parents: list[str]) -> str:
    blob = _git(tree, "hash-object", "-w", "--stdin", given=core).strip()
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": f"{scratch}/index"}
        _git(tree, "read-tree", base, more=index)
        _git(tree, "update-index", "--cacheinfo", f"100644,{blob},{CORE}", more=index)
        content = _git(tree, "write-tree", more=index).strip()
    above = [word for parent in parents for word in ("-p", parent)]
    return _git(tree, "commit-tree", content, *above, "-m", message).strip()


def _git(
    repository: Path,
    *words: str,
    given: str = "",
    cwd: Path | None = None,
    more: dict[str, str] | None = None,
) -> str:
    env = {**os.environ, "GIT_DIR": str(repository), "GIT_CONFIG_GLOBAL": "/dev/null"}
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "lab", f"GIT_{who}_EMAIL": "lab@localhost"}
        env[f"GIT_{who}_DATE"] = _DATE
    done = subprocess.run(
        ["git", *words], cwd=cwd, env={**env, **(more or {})}, input=given,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"git {words[0]}: {done.stderr}"
    return done.stdout
