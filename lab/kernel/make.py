# SPDX-License-Identifier: GPL-2.0-or-later
"""make on a kernel: its command line, and the error by which it gives up."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from lab.errors import LabError
from lab.kernel import kconfig
from lab.kernel.fixup import Chosen
from lab.kernel.spec import BuildSpec
from lab.system.machine import cores
from lab.system.process import follow, run, tie

Report = Callable[[str], None]
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


def write_command(spec: BuildSpec, chosen: Chosen, work: Path | str) -> list[str]:
    """Make with all its variables, in the folders src and obj of ``work``; a target is added."""
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
    """A fragment that turns 64BIT off asks for a 32-bit kernel, and so does a whole .config."""
    wanted = spec.config.bits if spec.config else {}
    wanted = {**wanted, **kconfig.read_fragments(spec.fragments)}
    return "i386" if wanted.get("CONFIG_64BIT") == "n" else "x86_64"


def compile_image(spec: BuildSpec, argv: list[str], log: Path, report: Report) -> None:
    """Compile and link; BuildFailed with the first error."""
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
    attempt(spec, log, alone, count)


def attempt(
    spec: BuildSpec, log: Path, argv: list[str], line: Callable[[str], None] | None
) -> None:
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
