# SPDX-License-Identifier: GPL-2.0-or-later
"""git, with nothing around it that changes what it does; the one owner of the command.

Repositories of the user's are only read.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabError
from lab.system.cache import cache_dir
from lab.system.files import write_atomic
from lab.system.process import find_error

# Of GIT_* variables only those that say how to reach another machine are kept: the others speak
# of another repository than ours, or change what a commit looks like.
_KEPT = ("GIT_ALLOW", "GIT_ASKPASS", "GIT_EXEC_PATH", "GIT_HTTP", "GIT_PROXY", "GIT_SSH", "GIT_SSL")
# A repository may belong to somebody else. A file, as git does not hand down what is said in
# the environment or the command line to the helper that reads a repository to be fetched from.
_CONFIG = "[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n"


def git(
    *words: str | Path,
    at: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    given: str = "",
) -> str:
    """What git prints; LabError, with its first complaint, when it fails.

    ``at``: the folder to be in, such as a repository. ``env`` is added to the environment.
    ``given`` is its standard input. Bytes that are not UTF-8 are kept, by surrogateescape.
    """
    done = attempt(*words, at=at, env=env, given=given)
    if done.returncode != 0:
        complaint = find_error(done.stderr or done.stdout)
        verb = next(word for word in map(str, words) if word[:1] != "-" and "=" not in word)
        raise LabError(f"git {verb} failed ({done.returncode}): {complaint}")
    return done.stdout


def attempt(
    *words: str | Path,
    at: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    given: str = "",
) -> subprocess.CompletedProcess[str]:
    """Like ``git``, where a failure is an answer: look at its returncode."""
    place = ["-C", str(at)] if at is not None else []
    argv = ["git", *place, *map(str, words)]
    data = given.encode(errors="surrogateescape")
    around = _environment() | dict(env or {})
    try:
        done = subprocess.run(argv, env=around, input=data, capture_output=True, check=False)
    except FileNotFoundError:
        raise LabError("the command 'git' is not installed; `lab doctor` says how") from None
    texts = (out.decode(errors="surrogateescape") for out in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(argv, done.returncode, *texts)


def find_commit(repository: Path | str, revision: str) -> str | None:
    """The full hash of a tag, a branch or a hash; None when the repository has no such commit."""
    wanted = f"{revision}^{{commit}}"
    done = attempt("rev-parse", "--verify", "--quiet", "--end-of-options", wanted, at=repository)
    return done.stdout.strip() if done.returncode == 0 else None


def read_title(repository: Path | str, commit: str) -> str:
    """The first line of a commit's message, fit to be shown."""
    text = git("log", "-1", "--format=%s", commit, at=repository).strip()
    return text.encode(errors="surrogateescape").decode(errors="replace")


def read_file(repository: Path | str, commit: str, path: str) -> str | None:
    """A file as it was committed; None when it was not. ``path``: from the top folder."""
    listed = git("ls-tree", "--full-tree", commit, "--", path, at=repository)
    mode, _, rest = listed.partition(" ")
    if not mode.startswith("100"):  # a folder, a symbolic link, another repository
        return None
    return git("cat-file", "blob", rest.split()[1], at=repository)


def check_out(repository: Path | str, commit: str, into: Path, index: Path) -> None:
    """Make the folder ``into`` the files of a commit, writing only those that differ.

    ``index``: a file of the caller's own, where git notes what it wrote. The repository's own
    index, its refs and its work tree are not touched.
    """
    into.mkdir(exist_ok=True)
    directory = git("rev-parse", "--absolute-git-dir", at=repository).strip()
    index.with_name(f"{index.name}.lock").unlink(missing_ok=True)  # of one that was cut off
    git(
        f"--git-dir={directory}", f"--work-tree={into.resolve()}", "-c", "core.autocrlf=false",
        "read-tree", "--reset", "-u", commit,
        at=into, env={"GIT_INDEX_FILE": str(index.resolve())},
    )  # fmt: skip


def _environment() -> dict[str, str]:
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("GIT_") or key.startswith(_KEPT)
    }
    return clean | {
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": str(_config()),
        "GIT_CONFIG_SYSTEM": os.devnull,
        # Not even the index of a user's tree is refreshed on the way. `git diff` needs its own
        # word for that, which also goes before what the tree's configuration says.
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "diff.autoRefreshIndex",
        "GIT_CONFIG_VALUE_0": "false",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
    }


def _config() -> Path:
    file = cache_dir() / "gitconfig"
    if not file.exists() or file.read_text() != _CONFIG:
        write_atomic(file, _CONFIG)
    return file
