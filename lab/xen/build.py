# SPDX-License-Identifier: GPL-2.0-or-later
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
from lab.patch.mail import Patch
from lab.system.cache import building, cache_dir, locked, require_space
from lab.system.files import sha256, sha256_of, write_atomic
from lab.system.machine import cores
from lab.system.process import follow, run
from lab.xen.source import Source, find_source

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


def build(config: XenConfig, report: Report) -> tuple[Path, str, dict[str, Any]]:
    """The hypervisor's image, its version and its provenance; from the cache or built now."""
    source, kind = find_source(config, report)
    patches = [patch for path in config.patches for patch in patchmail.read(path)]
    hashes = {path.name: _hash(path) for path in config.patches}
    compiler = run(["gcc", "--version"]).splitlines()[0]
    key = sha256_of(_VERSION, source.id, json.dumps(hashes), compiler, *config.options)[:16]
    final = cache_dir() / "xen" / key
    facts = {"patches": hashes, "compiler": compiler, "options": config.options}
    with locked(final.with_name(f"{key}.lock")):
        if not final.is_dir():
            require_space(cache_dir(), _SPACE_MIB, "building Xen")
            with building(final) as scratch:
                facts |= _build(source, patches, config.options, scratch, report)
                facts |= {**source.provenance, "package": kind}
                write_atomic(scratch / "provenance.json", json.dumps(facts, indent=1) + "\n")
    known: dict[str, Any] = json.loads((final / "provenance.json").read_text())
    return final / "xen", str(known["version"]), known


def _build(
    source: Source, patches: list[Patch], options: list[str], scratch: Path, report: Report
) -> dict[str, Any]:
    """The hypervisor in the folder ``scratch``, and facts about the build."""
    began = time.monotonic()
    report("unpacking Xen's source")
    tree, state = scratch / "source", scratch / "source.state"
    source.bring(tree, state)
    if not (tree / "xen" / "arch" / "x86" / "Makefile").is_file():
        raise UserError(f"{source.name} is not a Xen source tree (no xen/arch/x86)")
    fitted = patchmail.apply(patches, tree)
    _make(tree, scratch, options, report)
    facts = {
        "notes": [f"{one.name}: {note}" for one in fitted for note in one.notes],
        "seconds": round(time.monotonic() - began, 1),
        "version": _read_version(tree),
    }
    shutil.rmtree(tree)
    state.unlink(missing_ok=True)
    return facts


def _hash(path: Path) -> str:
    """Of a patch, or of all files of a folder of them."""
    if not path.is_dir():
        return sha256(path)
    return sha256_of(*(f"{p.name} {sha256(p)}" for p in sorted(path.iterdir()) if p.is_file()))


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
    """Put options on top of the defaults; LabError for one that Xen does not take."""
    if not options:
        return
    with file.open("a") as config:
        config.write("\n".join(options) + "\n")
    run(argv, log=log)
    missing = kconfig.find_not_taken(dict(line.split("=", 1) for line in options), file.read_text())
    if missing:
        raise LabError(f"Xen's configuration did not take {kconfig.list_some(missing)}")


def _read_version(tree: Path) -> str:
    """As Xen says it at boot: 4.17.5 and what its makefile adds."""
    text = (tree / "xen" / "include" / "xen" / "compile.h").read_text(errors="replace")
    found = dict(re.findall(r"^#define XEN_(VERSION|SUBVERSION|EXTRAVERSION)\s+(.*)$", text, re.M))
    extra = found.get("EXTRAVERSION", "").strip().strip('"')
    return f"{found.get('VERSION', '?')}.{found.get('SUBVERSION', '?')}{extra}"
