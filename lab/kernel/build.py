# SPDX-License-Identifier: GPL-2.0-or-later
"""Building a kernel: any Linux tree, patches, configuration fragments. Cached by content.

The source is copied once into a work folder of the cache and patched there, with the object
folder beside it: another patch or revision rebuilds only what it touches.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.errors import UserError
from lab.kernel import fixup as fixups
from lab.kernel import kconfig, missing, reading
from lab.kernel.configuration import Configured, configure
from lab.kernel.fixup import Chosen
from lab.kernel.fixup_table import TABLE
from lab.kernel.kernel import Kernel
from lab.kernel.make import BuildFailed, compile_image, write_command
from lab.kernel.recipe import write_recipe
from lab.kernel.spec import BuildSpec, list_files, read_compiler_major, read_compiler_version
from lab.kernel.worktree import Worktree
from lab.system.cache import building, cache_dir, locked, require_space
from lab.system.files import sha256, write_atomic

Report = Callable[[str], None]
_WORK_MIB = 4000  # an unpacked 6.1 and its object folder take about 2 GiB


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
        argv = write_command(spec, chosen, work)
        seen = _read_source(spec, tree, report)
        configured = _make(spec, tree, argv, log, report)
        obj = tree.obj
        shutil.copy(obj / "arch/x86/boot/bzImage", scratch / "bzImage")
        shutil.copy(obj / ".config", scratch / "config")
        shutil.copy(obj / "vmlinux", scratch / "vmlinux")
        shutil.copy(log, scratch / "build.log")
        _keep_repeat(spec, tree, chosen, scratch)
        if configured.cut is not None:
            write_atomic(scratch / "cut.config", configured.cut)
    seconds = round(time.monotonic() - began, 1)
    facts = {
        "fixups": list(chosen.names), "notes": [*notes, *configured.notes],
        "not_in_version": configured.left_out, **configured.facts, **seen,
    }  # fmt: skip
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


def _make(
    spec: BuildSpec, tree: Worktree, argv: list[str], log: Path, report: Report
) -> Configured:
    """Configure and compile; once more with what the tree turns out to need."""
    configured = configure(spec, tree, argv, log, report)
    try:
        compile_image(spec, argv, log, report)
    except BuildFailed as error:
        on = kconfig.read_config((tree.obj / ".config").read_text())
        known = kconfig.find_symbols(tree.src)
        found = missing.find(log.read_text(errors="replace"), tree.src, on, known)
        if not found:
            raise
        sentence, more = missing.explain(found), missing.list_options(found)
        report(f"note: {sentence}")
        try:
            again = configure(spec, tree, argv, log, report, more)
            compile_image(spec, argv, log, report)
        except BuildFailed as second:
            raise BuildFailed(
                f"{error}; {sentence}, and it failed again: {second.first_error}",
                error.first_error, log,
            ) from second  # fmt: skip
        return replace(again, notes=[*again.notes, sentence], facts={**again.facts, "added": more})
    return configured


def _read_source(spec: BuildSpec, tree: Worktree, report: Report) -> dict[str, Any]:
    """What the source says about the bug. A control has code of its own, and is known."""
    if not spec.base:
        return {}
    found = reading.read_tree(tree.src)
    if found.window is False:
        report(f"note: {found.sentence}")
    return {"reading": {"says": found.sentence, **found.as_json()}}


def _keep_repeat(spec: BuildSpec, tree: Worktree, chosen: Chosen, scratch: Path) -> None:
    """The whole build as a script for a stranger, with the patch and configuration it needs."""
    shutil.copy(tree.folder / "fragments.config", scratch / "fragments.config")
    change = tree.difference()
    write_atomic(scratch / "source.patch", change)
    lines = write_recipe(spec.source.again, write_command(spec, chosen, "$PWD"), bool(change))
    write_atomic(scratch / "repeat.sh", "\n".join(["#!/bin/sh -eu", *lines]) + "\n")


def _describe(
    spec: BuildSpec, scratch: Path, seconds: float, facts: dict[str, Any]
) -> dict[str, Any]:
    return {
        "source": "built",
        **spec.source.provenance,
        **spec.facts,
        "patches": {path.name: sha256(path) for path in list_files(spec.patches)},
        "fragments": {path.name: sha256(path) for path in (*spec.base, *spec.fragments)},
        **facts,
        "compiler": read_compiler_version(spec.compiler),
        "sha256": sha256(scratch / "bzImage"),
        "config_sha256": sha256(scratch / "config"),
        "seconds": seconds,
        "repeat": (scratch / "repeat.sh").read_text().splitlines()[1:],
    }
