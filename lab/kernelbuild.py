"""Building a kernel: any Linux tree, patches, configuration fragments. Cached by content.

The source is copied once into a work folder of the cache and patched there, with the object
folder beside it: another patch on the same source rebuilds only what it touches.
"""

from __future__ import annotations

import functools
import json
import re
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import fixups
from lab.errors import LabError
from lab.files import building, cache_dir, locked, require_space, sha256, sha256_of, write_atomic
from lab.kernel import Kernel
from lab.kernelsource import Source
from lab.process import cores, follow, run

Report = Callable[[str], None]
_VERSION = "1"  # of this builder: a change here that changes kernels raises it
_WORK_MIB = 4000  # an unpacked 6.1 and its object folder take about 2 GiB
# Equal input, equal image: the build's time, user and machine are not part of it.
_REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "2020-01-01",
    "KBUILD_BUILD_USER": "lab",
    "KBUILD_BUILD_HOST": "lab",
}
# Without these a kernel cannot be what it is built for, whatever its version.
VITAL = frozenset(
    f"CONFIG_{name}"
    for name in ("64BIT", "PRINTK", "BLK_DEV_INITRD", "BINFMT_ELF", "PROC_FS",
                 "SERIAL_8250_CONSOLE", "XEN", "HVC_XEN", "PREEMPT_VOLUNTARY")
)  # fmt: skip
_WANTED = re.compile(r"(?:(CONFIG_\w+)=(.+)|# (CONFIG_\w+) is not set)")


class BuildFailed(LabError):  # noqa: N818 (a finding about the tree rather than a fault)
    """The kernel does not configure, compile or link. Says the first error."""


@dataclass(frozen=True)
class BuildSpec:
    """What is built. ``fragments`` go on top of allnoconfig, later ones over earlier ones."""

    name: str
    source: Source
    patches: tuple[Path, ...] = ()
    fragments: tuple[Path, ...] = ()
    make_vars: tuple[tuple[str, str], ...] = ()
    compiler: str = "gcc"
    facts: dict[str, str] = field(default_factory=dict)  # more provenance
    # Any tree: an option that this version does not have is passed over, unless it is vital.
    any_version: bool = False

    def work_key(self) -> str:
        """What an object folder depends on, but for the patches."""
        return sha256_of(
            _VERSION, self.source.place, self.compiler, _compiler_version(self.compiler),
            json.dumps(self.make_vars), *(path.read_text() for path in self.fragments),
        )[:16]  # fmt: skip

    def key(self) -> str:
        source = () if self.source.place == self.source.id else (self.source.id,)
        patches = (path.read_bytes() for path in self.patches)
        return sha256_of(self.work_key(), *source, *patches)[:16]


def is_built(spec: BuildSpec) -> bool:
    """Whether ``build`` would only have to look into the cache."""
    return (cache_dir() / "kernel" / spec.key()).is_dir()


def build_log(spec: BuildSpec) -> Path:
    """What the last attempt said; there when it failed."""
    return cache_dir() / "kernel-work" / f"{spec.key()}.log"


def build(spec: BuildSpec, report: Report) -> Kernel:
    """The kernel, from the cache or built now; LabError with the first error when it fails."""
    final = cache_dir() / "kernel" / spec.key()
    with locked(final.with_name(f"{final.name}.lock")):
        if not final.is_dir():
            with building(final) as scratch:
                _build(spec, scratch, report)
    provenance: dict[str, Any] = json.loads((final / "provenance.json").read_text())
    return Kernel(spec.name, final / "bzImage", provenance, final / "config", final / "vmlinux")


def _build(spec: BuildSpec, scratch: Path, report: Report) -> None:
    began = time.monotonic()
    work = cache_dir() / "kernel-work" / spec.work_key()
    log = build_log(spec)
    with locked(work.with_name(f"{work.name}.lock")):
        require_space(cache_dir(), _WORK_MIB, f"building {spec.name}")
        log.unlink(missing_ok=True)
        _patched_source(spec, work, log, report)
        edits = _fixed_up(work)
        _configure(spec, work, log)
        _make(spec, work, log, report)
        obj = work / "obj"
        shutil.copy(obj / "arch/x86/boot/bzImage", scratch / "bzImage")
        shutil.copy(obj / ".config", scratch / "config")
        shutil.copy(obj / "vmlinux", scratch / "vmlinux")
        shutil.copy(log, scratch / "build.log")
        shutil.copy(work / "fragments.config", scratch / "fragments.config")
    seconds = round(time.monotonic() - began, 1)
    provenance = _provenance(spec, work, seconds, scratch, edits)
    write_atomic(scratch / "provenance.json", json.dumps(provenance, indent=1) + "\n")
    report(f"built in {seconds:.0f} s")


def _patched_source(spec: BuildSpec, work: Path, log: Path, report: Report) -> None:
    """Bring the work folder's source to the wanted patches, touching as few files as possible."""
    source, applied, changing = work / "src", work / "applied", work / "changing"
    revision = work / "revision"
    if changing.exists() or not source.is_dir():
        # Cut off while it was unpacked or patched: its state is unknown.
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        changing.touch()
        report("unpacking the source")
        source.mkdir()
        spec.source.unpack(source)
        applied.mkdir()
        revision.write_text(spec.source.id)
        changing.unlink()
    elif revision.is_file() and revision.read_text() != spec.source.id:
        changing.touch()
        spec.source.move(source)  # which takes patches and fix-ups off, too
        shutil.rmtree(applied)
        (work / "fixups").unlink(missing_ok=True)
        # Options come and go with revisions, and make may not ask about them.
        (work / "configured").unlink(missing_ok=True)
        applied.mkdir()
        revision.write_text(spec.source.id)
        changing.unlink()
    there = sorted(applied.iterdir())
    same = 0
    for old, new in zip(there, spec.patches, strict=False):
        if old.read_bytes() != new.read_bytes():
            break
        same += 1
    if same == len(there) == len(spec.patches):
        return
    changing.touch()
    for old in reversed(there[same:]):
        _patch(source, old, log, "-R")
        old.unlink()
    for number, new in enumerate(spec.patches[same:], same):
        _patch(source, new, log)
        shutil.copy(new, applied / f"{number:04d}")
    changing.unlink()


def _fixed_up(work: Path) -> list[str]:
    """Fix-ups of the work folder's source by name, those of an earlier build included."""
    stamp = work / "fixups"
    before = stamp.read_text().split() if stamp.is_file() else []
    names = list(dict.fromkeys(before + fixups.apply(work / "src")))
    write_atomic(stamp, "\n".join(names) + "\n")
    return names


def _patch(source: Path, patch: Path, log: Path, *options: str) -> None:
    """Apply without fuzz: a patch that only nearly fits is refused."""
    argv: list[str | Path] = [
        "patch",
        "-p1",
        "-F0",
        "--batch",
        "--no-backup-if-mismatch",
        *options,
        "-i",
        patch,
    ]
    try:
        run(argv, cwd=source, log=log)
    except LabError as error:
        raise BuildFailed(f"{patch.name} does not apply: {error}") from error


def _make_argv(spec: BuildSpec, work: Path) -> list[str]:
    release = fixups.version(work / "src")
    compiler = f"ccache {spec.compiler}" if shutil.which("ccache") else spec.compiler
    words = [fixups.compiler_words(release)]
    headers = fixups.include_folder(work / "src", work / "include", _major(spec.compiler))
    words += [f"-I{headers}"] if headers else []
    host = f"{compiler} {fixups.host_words(release)}".strip()
    compiler = " ".join([compiler, *words]).strip()
    variables = [
        f"{key}={value}" for key, value in {**_REPRODUCIBLE, **dict(spec.make_vars)}.items()
    ]
    # Relative paths in what is hashed: the same file hits in any cache folder.
    return [
        "env", f"CCACHE_BASEDIR={work}", "CCACHE_NOHASHDIR=1",
        "make", "-C", str(work / "src"), f"O={work / 'obj'}", "ARCH=x86_64",
        f"CC={compiler}", f"HOSTCC={host}", *variables,
    ]  # fmt: skip


def _configure(spec: BuildSpec, work: Path, log: Path) -> None:
    """Run allnoconfig with the fragments on top; what did not take is an error."""
    (work / "obj").mkdir(exist_ok=True)
    wanted = _wanted(spec.fragments)
    config = work / "obj" / ".config"
    stamp = work / "configured"
    if config.exists() and stamp.exists():
        return  # the work folder is keyed by the fragments
    lines = [f"{name}={value}" if value != "n" else f"# {name} is not set"
             for name, value in wanted.items()]  # fmt: skip
    write_atomic(work / "fragments.config", "\n".join(lines) + "\n")
    argv = [*_make_argv(spec, work), f"KCONFIG_ALLCONFIG={work / 'fragments.config'}"]
    try:
        run([*argv, "allnoconfig"], log=log)
    except LabError as error:
        raise BuildFailed(f"{spec.name} does not configure: {error}") from error
    missing = not_taken(wanted, config.read_text())
    if spec.any_version:
        missing = [line for line in missing if line.partition("=")[0] in VITAL]
    if missing:
        raise BuildFailed(
            f"the configuration of {spec.name} did not take {', '.join(missing)}: "
            "an option that they depend on is off, or this version does not have them"
        )
    stamp.touch()


def _wanted(fragments: tuple[Path, ...]) -> dict[str, str]:
    """Options of all fragments, later ones winning; ``n`` for those that must be off."""
    wanted: dict[str, str] = {}
    for path in fragments:
        for line in path.read_text().splitlines():
            found = _WANTED.fullmatch(line.strip())
            if found:
                wanted[found.group(1) or found.group(3)] = found.group(2) or "n"
    return wanted


def not_taken(wanted: dict[str, str], config: str) -> list[str]:
    """Options whose value in a .config is not the wanted one; absent counts as n."""
    found = _wanted_lines(config)
    return [f"{n}={v}" for n, v in wanted.items() if found.get(n, "n") != v]


def _wanted_lines(config: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in config.splitlines() if line.startswith("CONFIG_"))
    return dict(pairs)


def _make(spec: BuildSpec, work: Path, log: Path, report: Report) -> None:
    files, told = 0, time.monotonic()
    report("compiling (some 900 files for a minimal kernel: 3 to 10 minutes on 2 cores)")

    def count(line: str) -> None:
        nonlocal files, told
        files += line.startswith(("  CC ", "  AS "))
        if time.monotonic() - told > 5:
            told = time.monotonic()
            report(f"compiling, {files} files done")

    jobs = f"-j{cores()}"
    try:
        # What a killed lab leaves must not go on in a folder that the next one builds in.
        alone = ["setpriv", "--pdeathsig", "TERM", "--", "nice"]
        follow([*alone, *_make_argv(spec, work), jobs, "bzImage"], log=log, line=count)
    except LabError as error:
        first = str(error).removeprefix("setpriv failed: ")
        raise BuildFailed(f"{spec.name} does not build: {first}") from error


def _provenance(
    spec: BuildSpec, work: Path, seconds: float, scratch: Path, edits: list[str]
) -> dict[str, Any]:
    made = shlex.join(_make_argv(spec, work)).replace(str(work), "$PWD")
    repeat = [
        *spec.source.again,
        *(f"patch -d src -p1 < {shlex.quote(str(path))}" for path in spec.patches),
        *(f"# the lab's fix-up {name} (lab/fixups.py)" for name in edits),
        "mkdir obj  # and fragments.config, beside this kernel in the cache",
        f"{made} KCONFIG_ALLCONFIG=$PWD/fragments.config allnoconfig",
        f"{made} bzImage",
    ]
    return {
        "source": "built",
        **spec.source.provenance,
        **spec.facts,
        "patches": {path.name: sha256(path) for path in spec.patches},
        "fragments": {path.name: sha256(path) for path in spec.fragments},
        "compiler": _compiler_version(spec.compiler),
        "sha256": sha256(scratch / "bzImage"),
        "config_sha256": sha256(scratch / "config"),
        "seconds": seconds,
        "fixups": edits,
        "repeat": repeat,
    }


@functools.cache
def _compiler_version(compiler: str) -> str:
    return run([compiler, "--version"]).splitlines()[0]


def _major(compiler: str) -> int:
    """The compiler's major version, by which old trees name a header."""
    found = re.match(r"\d+", run([compiler, "-dumpversion"]))
    return int(found.group()) if found else 0
