# SPDX-License-Identifier: GPL-2.0-or-later
"""Building a kernel: any Linux tree, patches, configuration fragments. Cached by content.

The source is copied once into a work folder of the cache and patched there, with the object
folder beside it: another patch or revision rebuilds only what it touches.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.errors import LabError, UserError
from lab.kernel import fixup as fixups
from lab.kernel import kconfig
from lab.kernel.fixup import Chosen
from lab.kernel.fixup_table import TABLE
from lab.kernel.kernel import Kernel
from lab.kernel.recipe import write_recipe
from lab.kernel.source import Source
from lab.kernel.worktree import Worktree
from lab.system.cache import building, cache_dir, locked, require_space
from lab.system.files import sha256, sha256_of, write_atomic
from lab.system.machine import cores
from lab.system.process import follow, run, tie

Report = Callable[[str], None]
_VERSION = "1"  # of this builder: a change here that changes kernels raises it
_WORK_MIB = 4000  # an unpacked 6.1 and its object folder take about 2 GiB
# Equal input, equal image: the build's time, user and machine are not part of it.
_REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "2020-01-01",
    "KBUILD_BUILD_USER": "lab",
    "KBUILD_BUILD_HOST": "lab",
}


class BuildFailed(LabError):  # noqa: N818 (a finding about the tree rather than a fault)
    """The kernel does not patch, configure, compile or link.

    ``first_error``: the compiler's or make's first complaint. ``log``: all of it.
    """

    def __init__(self, message: str, first_error: str = "", log: Path | None = None) -> None:
        super().__init__(message)
        self.first_error, self.log = first_error or message, log


@dataclass(frozen=True)
class BuildSpec:
    """What is built, on top of allnoconfig, later fragments over earlier ones.

    Of ``base`` what the version does not have is left out; all of ``fragments`` must take.
    ``compiler`` may be words, such as `gcc-11 -g`.
    """

    name: str
    source: Source
    patches: tuple[Path, ...] = ()
    fragments: tuple[Path, ...] = ()
    make_vars: tuple[tuple[str, str], ...] = ()
    compiler: str = "gcc"
    facts: dict[str, str] = field(default_factory=dict)  # more provenance
    base: tuple[Path, ...] = ()

    def work_key(self) -> str:
        """What an object folder depends on, except revision and patches."""
        return self._key(self.source.place)

    def key(self) -> str:
        return self._whole_key

    @functools.cached_property  # of the source as it was when the build began
    def _whole_key(self) -> str:
        mended = [fixup.identity for fixup in fixups.consider(TABLE, self.source.release)]
        patches = (path.read_bytes() for path in _list_files(self.patches))
        return sha256_of(self._key(self.source.id), *mended, *patches)[:16]

    def _key(self, source: str) -> str:
        base = [path.read_text() for path in self.base]
        return sha256_of(
            _VERSION, source, self.compiler, read_compiler_version(self.compiler),
            json.dumps(self.make_vars), *(path.read_text() for path in self.fragments),
            *([json.dumps(base)] if base else []),
        )[:16]  # fmt: skip


def is_built(spec: BuildSpec) -> bool:
    """Whether ``build`` would only have to look into the cache."""
    return (cache_dir() / "kernel" / spec.key()).is_dir()


def find_log(spec: BuildSpec) -> Path:
    """The log of the last attempt; it exists when that failed."""
    return cache_dir() / "kernel-work" / f"{spec.key()}.log"


def build(spec: BuildSpec, report: Report, objects: Path | None = None) -> Kernel:
    """The kernel, from the cache or built now; BuildFailed when it does not build.

    ``objects``: a folder to build in, kept for the next build, instead of the cache's own.
    """
    final = cache_dir() / "kernel" / spec.key()
    with locked(final.with_name(f"{final.name}.lock")):
        if not final.is_dir():
            with building(final) as scratch:
                _build(spec, scratch, report, objects)
    provenance: dict[str, Any] = json.loads((final / "provenance.json").read_text())
    return Kernel(spec.name, final / "bzImage", provenance, final / "config", final / "vmlinux")


def _build(spec: BuildSpec, scratch: Path, report: Report, objects: Path | None) -> None:
    began = time.monotonic()
    work = objects or cache_dir() / "kernel-work" / spec.work_key()
    log = find_log(spec)
    with locked(work.with_name(f"{work.name}.lock")):
        log.parent.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        require_space(work.parent, _WORK_MIB, f"building {spec.name}")
        tree = Worktree(work)
        report("unpacking the source")
        chosen, notes = _bring(spec, tree, log)
        if chosen.names:
            report(f"an old tree and a new compiler: {', '.join(chosen.names)}")
        argv = _make_argv(spec, chosen, work)
        left_out = _configure(spec, tree, argv, log, report)
        _make(spec, argv, log, report)
        obj = tree.obj
        shutil.copy(obj / "arch/x86/boot/bzImage", scratch / "bzImage")
        shutil.copy(obj / ".config", scratch / "config")
        shutil.copy(obj / "vmlinux", scratch / "vmlinux")
        shutil.copy(log, scratch / "build.log")
        _keep_repeat(spec, tree, chosen, scratch)
    seconds = round(time.monotonic() - began, 1)
    facts = {"fixups": list(chosen.names), "notes": notes, "not_in_version": left_out}
    provenance = _describe(spec, scratch, seconds, facts)
    write_atomic(scratch / "provenance.json", json.dumps(provenance, indent=1) + "\n")
    report(f"built in {seconds:.0f} s")


def _bring(spec: BuildSpec, tree: Worktree, log: Path) -> tuple[Chosen, list[str]]:
    """Bring source, patches and fix-ups into the work folder; what was done."""
    found: list[Chosen] = []

    major = read_compiler_major(spec.compiler)

    def mends(src: Path) -> tuple[Any, ...]:
        found.append(fixups.choose(TABLE, spec.source.release, src, major))
        return found[0].mends

    try:
        notes = tree.bring(spec.source, spec.patches, mends)
    except UserError as error:  # of a patch, which names itself
        write_atomic(log, f"{error}\n")
        raise BuildFailed(f"{spec.name}: {error}", str(error), log) from error
    return found[0], notes


def _make_argv(spec: BuildSpec, chosen: Chosen, work: Path | str) -> list[str]:
    compiler = f"ccache {spec.compiler}" if shutil.which("ccache") else spec.compiler
    variables = [
        f"{key}={value}" for key, value in {**_REPRODUCIBLE, **dict(spec.make_vars)}.items()
    ]
    # Relative paths in what is hashed: the same file hits in any cache folder.
    return [
        "env", f"CCACHE_BASEDIR={work}", "CCACHE_NOHASHDIR=1",
        "make", "-C", f"{work}/src", f"O={work}/obj", f"ARCH={_find_arch(spec)}",
        "CROSS_COMPILE=",  # trees of board makers name their own
        f"CC={' '.join((compiler, *chosen.cc))}",
        f"HOSTCC={' '.join((compiler, *chosen.hostcc))}", *variables,
    ]  # fmt: skip


def _find_arch(spec: BuildSpec) -> str:
    """A fragment that turns 64BIT off asks for a 32-bit kernel."""
    return "i386" if kconfig.read_fragments(spec.fragments).get("CONFIG_64BIT") == "n" else "x86_64"


def _configure(
    spec: BuildSpec, tree: Worktree, argv: list[str], log: Path, report: Report
) -> list[str]:
    """Run allnoconfig with the fragments on top; what of the base this version does not have."""
    config, stamp = tree.obj / ".config", tree.folder / "configured"
    known = kconfig.find_symbols(tree.src) if spec.base else set()
    base = kconfig.read_fragments(spec.base)
    left_out = [name for name in base if name not in known]
    base = {name: value for name, value in base.items() if name in known}
    must = kconfig.read_fragments(spec.fragments)
    wanted = {**base, **must}
    if not config.exists() or not stamp.exists() or stamp.read_text() != spec.key():
        stamp.unlink(missing_ok=True)
        file = tree.folder / "fragments.config"
        write_atomic(file, kconfig.write_fragment(wanted))
        _try(spec, log, [*argv, f"KCONFIG_ALLCONFIG={file}", "allnoconfig"], None)
    made = config.read_text()
    missing = kconfig.find_not_taken(must, made)
    if missing:
        raise BuildFailed(
            f"the configuration of {spec.name} did not take {kconfig.list_some(missing)}: "
            "an option that they depend on is off, or this version does not have them",
            f"the configuration did not take {missing[0]}", log,
        )  # fmt: skip
    _check_base(spec, base, made, known, log, report)
    write_atomic(stamp, spec.key())
    return left_out


def _check_base(
    spec: BuildSpec, base: dict[str, str], made: str, known: set[str], log: Path, report: Report
) -> None:
    """Refuse a kernel that this lab cannot use; mention what else the base did not get."""
    lacking = kconfig.find_lacking(made, known) if spec.base else []
    if lacking:
        raise BuildFailed(
            f"the configuration of {spec.name} cannot be used here: {'; '.join(lacking)}",
            lacking[0], log,
        )  # fmt: skip
    missing = kconfig.find_not_taken(base, made)
    if missing:
        report(f"not taken by this version: {kconfig.list_some(missing)}")


def _make(spec: BuildSpec, argv: list[str], log: Path, report: Report) -> None:
    files, reported = 0, time.monotonic()
    report("compiling (some 900 files for a minimal kernel: 3 to 10 minutes on 2 cores)")

    def count(line: str) -> None:
        nonlocal files, reported
        files += line.startswith(("  CC ", "  AS "))
        if time.monotonic() - reported > 5:
            reported = time.monotonic()
            report(f"compiling, {files} files done")

    # The build's number is part of the image, and counts up in an object folder that is kept.
    obj = next(word for word in argv if word.startswith("O="))
    Path(obj[2:], ".version").unlink(missing_ok=True)
    # What a killed lab leaves must not go on in a folder that the next one builds in.
    alone = tie(["nice", *argv, f"-j{cores()}", "bzImage"], "TERM")
    _try(spec, log, alone, count)


def _try(spec: BuildSpec, log: Path, argv: list[str], line: Callable[[str], None] | None) -> None:
    """Run make; BuildFailed with its first error."""
    try:
        if line is None:
            run(argv, log=log)
        else:
            follow(argv, log=log, line=line)
    except LabError as error:
        if "is not installed" in str(error):
            raise
        first = find_build_error(log.read_text(errors="replace"))
        raise BuildFailed(
            f"{spec.name} does not build: {first} (all of it: {log})", first, log
        ) from error


# What compilers and linkers write when they give up; then what shells, perl and make write. The
# cause stands before its effects, but not always before harmless messages: an old Kconfig goes on
# after a recursive dependency.
_CAUSES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?:fatal )?error: (?!recursive dep)|: Error: |undefined reference|multiple definition|"
        r"unrecognized command[- ]line option|internal compiler error|No rule to make target",
        r"command not found|No such file or directory|Can't use |No space left|Killed|is not clean",
        r"\*\*\*|[Ee]rror",
    )
)


def find_build_error(log: str) -> str:
    """The line that says why the last command of a log failed."""
    last = re.split(r"^\$ .*$", log, flags=re.MULTILINE)[-1]
    lines = [line.strip() for line in last.splitlines() if line.strip()]
    for pattern in _CAUSES:
        for line in lines:
            # A name such as error.o is not an error, nor is a warning that mentions one.
            if pattern.search(line) and "warning:" not in line and not line.startswith("CC "):
                return line[:300]
    return lines[-1][:300] if lines else "no output"


def _keep_repeat(spec: BuildSpec, tree: Worktree, chosen: Chosen, scratch: Path) -> None:
    """The whole build as a script for a stranger, with the patch and configuration it needs."""
    shutil.copy(tree.folder / "fragments.config", scratch / "fragments.config")
    change = tree.difference()
    write_atomic(scratch / "source.patch", change)
    lines = write_recipe(spec.source.again, _make_argv(spec, chosen, "$PWD"), bool(change))
    write_atomic(scratch / "repeat.sh", "\n".join(["#!/bin/sh -eu", *lines]) + "\n")


def _describe(
    spec: BuildSpec, scratch: Path, seconds: float, facts: dict[str, Any]
) -> dict[str, Any]:
    return {
        "source": "built",
        **spec.source.provenance,
        **spec.facts,
        "patches": {path.name: sha256(path) for path in _list_files(spec.patches)},
        "fragments": {path.name: sha256(path) for path in (*spec.base, *spec.fragments)},
        **facts,
        "compiler": read_compiler_version(spec.compiler),
        "sha256": sha256(scratch / "bzImage"),
        "config_sha256": sha256(scratch / "config"),
        "seconds": seconds,
        "repeat": (scratch / "repeat.sh").read_text().splitlines()[1:],
    }


def _list_files(patches: tuple[Path, ...]) -> list[Path]:
    """The files of patches, those in folders included."""
    found: list[Path] = []
    for path in patches:
        found += sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return found


@functools.cache
def read_compiler_version(compiler: str) -> str:
    """The first line that it prints of itself."""
    return run([*compiler.split(), "--version"]).splitlines()[0]


@functools.cache
def read_compiler_major(compiler: str) -> int:
    """12 of gcc 12.2.0; 0 for one that does not say."""
    found = re.match(r"(\d+)", run([*compiler.split(), "-dumpversion"]).strip())
    return int(found.group(1)) if found else 0
