# SPDX-License-Identifier: GPL-2.0-or-later
"""Outside commands: run with a log, and failures reported by their first real error."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

_ERROR = re.compile(r"(?i)(\berror\b|\*\*\*|^E: |fatal:|cannot |can't |no such file|no space left)")


def find_error(output: str) -> str:
    """The first line that reads like an error, else the last line that is not empty."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("W: ")] or lines
    for line in lines:
        if _ERROR.search(line):
            return line[:300]
    return lines[-1][:300] if lines else "no output"


def run(
    argv: Sequence[str | Path],
    *,
    log: Path | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> str:
    """Run to the end and return what it printed (stdout and stderr together).

    ``log`` is appended to as the command prints. ``env`` is added to the environment.
    Raises LabError, with the first error line and the log's path, when the command is
    missing, fails, or takes more than ``timeout`` seconds.
    """
    words = [str(word) for word in argv]
    where = f" (all of it: {log})" if log else ""
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(
            f"the command {words[0]!r} is not installed; `lab doctor` says how"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{words[0]} took more than {timeout:.0f} s{where}") from error
    output = done.stdout.decode(errors="replace")
    if log:
        with log.open("a") as out:
            out.write(f"$ {' '.join(words)}\n{output}\n")
    if done.returncode != 0:
        raise LabError(f"{words[0]} failed ({done.returncode}): {find_error(output)}{where}")
    return output


def tie(argv: Sequence[str], signal: str = "KILL") -> list[str]:
    """The command line by which a program gets ``signal`` as soon as we are gone.

    PR_SET_PDEATHSIG, through setpriv: a killed controller leaves nothing behind.
    """
    return ["setpriv", "--pdeathsig", signal, "--", *argv]


def filter_bytes(argv: Sequence[str], data: bytes) -> bytes:
    """Send bytes through a command and return what comes out; LabError when it fails."""
    try:
        done = subprocess.run(argv, input=data, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise LabError(
            f"the command {argv[0]!r} is not installed; `lab doctor` says how"
        ) from error
    if done.returncode != 0:
        raise LabError(f"{argv[0]} failed: {find_error(done.stderr.decode(errors='replace'))}")
    return done.stdout


def search(argv: Sequence[str], cwd: Path) -> list[str]:
    """The lines that grep, or what ends as it does, prints: none where it finds nothing.

    LabError when it fails.
    """
    try:
        done = subprocess.run(argv, cwd=cwd, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"the command {argv[0]!r} is not installed") from error
    if done.returncode > 1:
        raise LabError(f"{argv[0]} failed: {find_error(done.stderr.decode(errors='replace'))}")
    return done.stdout.decode(errors="surrogateescape").splitlines()


def follow(
    argv: Sequence[str | Path],
    *,
    log: Path,
    line: Callable[[str], None],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a long command, its output going to ``log`` and each line to ``line`` as it comes.

    Raises LabError with the first error line and the log's path when it fails.
    """
    words = [str(word) for word in argv]
    with log.open("a") as out:
        out.write(f"$ {' '.join(words)}\n")
        out.flush()
        try:
            child = subprocess.Popen(
                words, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )  # fmt: skip
        except FileNotFoundError as error:
            raise LabError(
                f"the command {words[0]!r} is not installed; `lab doctor` says how"
            ) from error
        said: list[str] = []
        with child:
            assert child.stdout is not None
            for text in child.stdout:
                out.write(text)
                said.append(text)
                line(text.rstrip())
    if child.returncode != 0:
        raise LabError(f"{words[0]} failed: {find_error(''.join(said))} (all of it: {log})")
