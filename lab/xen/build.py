"""Building a hypervisor, and nothing else of Xen: a Debian source package or a tree, patched.

Cached by content: source, patches, options, compiler. A build takes some 80 s on 2 cores.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.config.xen import XenConfig
from lab.errors import LabError, UserError
from lab.kernel import kconfig
from lab.patch import mail as patchmail
from lab.system import debian
from lab.system.cache import building, cache_dir, locked, require_space
from lab.system.files import sha256, sha256_of, write_atomic
from lab.system.machine import cores
from lab.system.process import follow, run

Report = Callable[[str], None]
_VERSION = "1"  # of this builder: a change here that changes hypervisors raises it
_SPACE_MIB = 1000
_VARIABLES = {
    "XEN_TARGET_ARCH": "x86_64",
    # Equal input, equal image: when, where and by whom it was built is not part of it.
    "XEN_BUILD_DATE": "2020-01-01",
    "XEN_BUILD_TIME": "00:00:00",
    "XEN_BUILD_HOST": "lab",
    "XEN_DOMAIN": "lab",
    "XEN_WHOAMI": "lab",
}
_PACKAGE_SOURCE = "xen"  # Debian's name of it


def build(config: XenConfig, report: Report) -> tuple[Path, str, dict[str, Any]]:
    """The hypervisor's image, its version and its provenance; from the cache or built now."""
    source = _tree(config) if config.tree is not None else _package(config, report)
    patches = [patch for path in config.patches for patch in patchmail.read(path)]
    hashes = {path.name: _hash(path) for path in config.patches}
    compiler = run(["gcc", "--version"]).splitlines()[0]
    key = sha256_of(_VERSION, source.id, json.dumps(hashes), compiler, *config.options)[:16]
    final = cache_dir() / "xen" / key
    with locked(final.with_name(f"{key}.lock")):
        if not final.is_dir():
            require_space(cache_dir(), _SPACE_MIB, "building Xen")
            with building(final) as scratch:
                began = time.monotonic()
                report("unpacking Xen's source")
                tree = scratch / "source"
                source.unpack(tree)
                if not (tree / "xen" / "arch" / "x86" / "Makefile").is_file():
                    raise UserError(f"{source.name} is no Xen source tree (no xen/arch/x86)")
                fitted = patchmail.apply_all(patches, tree)
                _make(tree, scratch, config.options, report)
                facts = {
                    **source.facts,
                    "patches": hashes,
                    "notes": [f"{one.name}: {note}" for one in fitted for note in one.notes],
                    "compiler": compiler,
                    "options": config.options,
                    "seconds": round(time.monotonic() - began, 1),
                }
                facts["version"] = _version(tree)
                write_atomic(scratch / "provenance.json", json.dumps(facts, indent=1) + "\n")
                shutil.rmtree(tree)
    known: dict[str, Any] = json.loads((final / "provenance.json").read_text())
    return final / "xen", str(known["version"]), known


def _hash(path: Path) -> str:
    """Of a patch, or of all files of a folder of them."""
    if not path.is_dir():
        return sha256(path)
    return sha256_of(*(f"{p.name} {sha256(p)}" for p in sorted(path.iterdir()) if p.is_file()))


class _Source:
    """Where the source comes from. ``id`` changes with its content."""

    def __init__(
        self, name: str, identity: str, facts: dict[str, Any], unpack: Callable[[Path], None]
    ) -> None:
        self.name, self.id, self.facts, self.unpack = name, identity, facts, unpack


def _package(config: XenConfig, report: Report) -> _Source:
    """The source of the version that the hypervisor's package has, where the registry has it."""
    from lab.xen.hypervisor import package_name

    assert config.source is not None
    wanted = None
    if config.source == _PACKAGE_SOURCE:
        wanted = debian.candidate(package_name(config))
    found = debian.source(config.source, wanted, report)

    def unpack(into: Path) -> None:
        # apt has checked the files against the archive's signature already.
        run(["dpkg-source", "--no-check", "-x", found.file, into])

    facts = {**found.provenance(), "package": f"{found.name} source {found.version}"}
    return _Source(f"the package {found.name}", found.sha256, facts, unpack)


def _tree(config: XenConfig) -> _Source:
    tree = config.tree
    assert tree is not None
    # A bare repository has no files: of a revision git says whether it is there.
    if config.rev is None and not (tree / "xen" / "Makefile").is_file():
        raise UserError(f"xen.tree: {tree} is no Xen source tree (no xen/Makefile)")
    facts: dict[str, Any] = {"package": "tree", "source_tree": str(tree)}
    if config.rev is None:
        listing = run(["find", tree, "-path", "*/.git", "-prune", "-o", "-type", "f",
                       "-printf", "%P %s %T@\n"])  # fmt: skip
        identity = sha256_of(*sorted(listing.splitlines()))

        def copy(into: Path) -> None:
            run(["rsync", "-a", "--exclude=/.git", f"{tree}/", f"{into}/"])

        return _Source(str(tree), identity, facts, copy)
    try:
        commit = run(["git", "-C", tree, "rev-parse", "--verify", f"{config.rev}^{{commit}}"])
    except LabError:
        raise UserError(f"xen.rev: {config.rev!r} is no revision of {tree}") from None

    def archive(into: Path) -> None:
        into.mkdir()
        packed = into.with_name("source.tar")
        run(["git", "-C", tree, "archive", "-o", packed, commit.strip()])
        run(["tar", "-x", "-f", packed, "-C", into])
        packed.unlink()

    facts["source_commit"] = commit.strip()
    return _Source(str(tree), sha256_of("git", commit), facts, archive)


def _make(tree: Path, scratch: Path, options: list[str], report: Report) -> None:
    """The hypervisor alone: xen/ has its own Kconfig and needs none of the tools."""
    log = cache_dir() / "xen" / "last-build.log"
    log.unlink(missing_ok=True)
    compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
    variables = [f"{key}={value}" for key, value in _VARIABLES.items()]
    argv = ["make", "-C", str(tree / "xen"), *variables, f"CC={compiler}", "PYTHON=python3"]
    report("compiling Xen (a minute or two)")
    run([*argv, "defconfig"], log=log)
    _configure(tree / "xen" / ".config", options, [*argv, "olddefconfig"], log)
    files = 0

    def count(line: str) -> None:
        nonlocal files
        files += line.lstrip().startswith("CC ") or " -c " in line
        if files % 50 == 1:
            report(f"compiling Xen, {files} files done")

    try:
        follow(["nice", *argv, f"-j{cores()}"], log=log, line=count)
    except LabError as error:
        raise LabError(f"Xen does not build: {error}") from error
    for name in ("xen", "xen-syms", ".config"):
        shutil.copy(tree / "xen" / name, scratch / name.removeprefix("."))
    shutil.copy(log, scratch / "build.log")


def _configure(file: Path, options: list[str], argv: list[str], log: Path) -> None:
    """Put options on top of the default ones; LabError for one that Xen does not take."""
    if not options:
        return
    with file.open("a") as config:
        config.write("\n".join(options) + "\n")
    run(argv, log=log)
    missing = kconfig.not_taken(dict(line.split("=", 1) for line in options), file.read_text())
    if missing:
        raise LabError(f"Xen's configuration did not take {kconfig.some(missing)}")


def _version(tree: Path) -> str:
    """As Xen says it at boot: 4.17.5 and what its makefile adds."""
    text = (tree / "xen" / "include" / "xen" / "compile.h").read_text(errors="replace")
    found = dict(re.findall(r"^#define XEN_(VERSION|SUBVERSION|EXTRAVERSION)\s+(.*)$", text, re.M))
    extra = found.get("EXTRAVERSION", "").strip().strip('"')
    return f"{found.get('VERSION', '?')}.{found.get('SUBVERSION', '?')}{extra}"
