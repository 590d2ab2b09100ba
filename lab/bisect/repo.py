# SPDX-License-Identifier: GPL-2.0-or-later
"""git for bisects. The user's repository is only read.

A bare clone in the run's folder borrows the user's objects (``--shared``); all refs, logs and
new commits of a bisect are there. git chooses the commits, with its own rules for skips, merges
and paths.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.bisect.choice import Candidate
from lab.bisect.marks import Question
from lab.errors import UserError
from lab.system.git import attempt, find_commit, git, read_title

_FOUND = re.compile(r"^([0-9a-f]{40,64}) is the first \S+ commit", re.MULTILINE)
_HASH = re.compile(r"^[0-9a-f]{40,64}$", re.MULTILINE)
_DIST = re.compile(r"^([0-9a-f]{40,64}) \((.*)dist=(\d+)\)", re.MULTILINE)
_AUTHOR = {
    "GIT_AUTHOR_NAME": "lab", "GIT_AUTHOR_EMAIL": "lab@localhost",
    "GIT_COMMITTER_NAME": "lab", "GIT_COMMITTER_EMAIL": "lab@localhost",
    # Equal content gives an equal commit, so that its build is found again.
    "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
}  # fmt: skip


@dataclass(frozen=True)
class ToTest:
    """git wants this commit tested. ``candidates``: best halves first."""

    commit: str
    left: int  # commits still in question
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Found:
    """git has the first commit that is new."""

    commit: str


@dataclass(frozen=True)
class Undecided:
    """git cannot go on: only skipped commits are left, or the history does not allow it."""

    reason: str
    commits: tuple[str, ...] = ()


Next = ToTest | Found | Undecided


class BisectRepo:
    """A bisect's own bare clone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._subjects: dict[str, str] = {}

    @classmethod
    def clone(cls, tree: Path | str, into: Path) -> BisectRepo:
        """Make the clone; UserError when ``tree`` is not a git repository."""
        scratch = into.with_name(f".{into.name}.cloning")
        git("init", "--quiet", "--bare", scratch)
        done = attempt("rev-parse", "--git-common-dir", at=tree)
        if done.returncode != 0:
            raise UserError(f"{tree}: is not a git repository; a bisect needs the history")
        common = (Path(tree) / done.stdout.strip()).resolve()
        alternates = scratch / "objects" / "info" / "alternates"
        alternates.write_text(f"{common / 'objects'}\n")
        if (common / "shallow").is_file():
            (scratch / "shallow").write_bytes((common / "shallow").read_bytes())
        # The refs as well: they name commits, and keep them from garbage collection here.
        made = cls(scratch)
        made._run("fetch", "--quiet", "--no-write-fetch-head", str(common),
                  "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")  # fmt: skip
        scratch.rename(into)
        return cls(into)

    @classmethod
    def empty(cls, path: Path) -> BisectRepo:
        """A new repository without commits."""
        git("init", "--quiet", "--bare", path)
        return cls(path)

    def add(self, files: dict[str, str], message: str, parents: Sequence[str]) -> str:
        """A commit of these files alone (in the top folder); its hash depends on nothing else."""
        lines = ""
        for name, content in files.items():
            blob = self._try("hash-object", "-w", "--stdin", given=content).stdout.strip()
            lines += f"100644 blob {blob}\t{name}\n"
        tree = self._try("mktree", given=lines).stdout.strip()
        above = [word for parent in parents for word in ("-p", parent)]
        return self._run("commit-tree", tree, *above, "-m", message, env=_AUTHOR).strip()

    def name(self, ref: str, commit: str) -> None:
        self._run("update-ref", ref, commit)

    def _run(self, *words: str, env: dict[str, str] | None = None) -> str:
        return git(f"--git-dir={self.path}", *words, env=env)

    def _try(
        self, *words: str, env: dict[str, str] | None = None, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return attempt(f"--git-dir={self.path}", *words, env=env, given=given)

    def subject(self, commit: str) -> str:
        if commit not in self._subjects:
            self._subjects[commit] = read_title(self.path, commit)
        return self._subjects[commit]

    def parents(self, commit: str) -> list[str]:
        return self._run("log", "-1", "--format=%P", commit).split()

    def summary(self, commit: str) -> str:
        """Author, date, message and the files it touches."""
        return self._run("show", "--no-color", "--format=fuller", "--stat=100", commit)

    def patch(self, commit: str) -> str:
        """The change to its first parent."""
        return self._run("diff-tree", "-p", "--binary", "--full-index", f"{commit}^1", commit)

    def file(self, commit: str, path: str) -> str:
        return self._run("show", f"{commit}:{path}")

    def next(self, question: Question, log: Path, skipped: Sequence[str] = ()) -> Next:
        """Replay the whole log in git from scratch, and ask what to test."""
        self._forget()
        if (self.path / "HEAD").read_text().strip() != question.newer:
            # git wants to know where to return to in the end.
            self._run("update-ref", "--no-deref", "HEAD", question.newer)
        done = self._try("bisect", "replay", str(log.resolve()))
        text = done.stdout + done.stderr
        found = _FOUND.search(done.stdout)
        if done.returncode == 0 and found:
            return Found(found.group(1))
        if done.returncode == 2 and "left to test" in text:
            listed = _HASH.findall(done.stdout)
            return Undecided("only skipped commits are left", tuple(listed))
        head = self._try("rev-parse", "--verify", "--quiet", "BISECT_HEAD")
        if done.returncode != 0 or head.returncode != 0:
            return Undecided(f"git cannot go on: {_last_line(text)}")
        return self._to_test(question, head.stdout.strip(), set(skipped))

    def _to_test(self, question: Question, commit: str, skipped: set[str]) -> ToTest:
        range_ = [f"refs/bisect/{question.new_term}", "--not",
                  f"--glob=refs/bisect/{question.old_term}-*", "--", *question.paths]  # fmt: skip
        listed = _DIST.findall(self._run("rev-list", "--bisect-all", *range_))
        total = len(listed)
        candidates = tuple(
            Candidate(name, int(dist), total)
            for name, _, dist in listed
            if name not in skipped and int(dist) > 0
        )
        return ToTest(commit, total, candidates)

    def _forget(self) -> None:
        """Drop what an earlier call left: the log is the only state."""
        for path in self.path.glob("BISECT_*"):
            path.unlink()
        names = self._run("for-each-ref", "--format=delete %(refname)", "refs/bisect/")
        if names:
            self._try("update-ref", "--stdin", given=names)

    def make_change(self, base: str, culprit: str, reverse: bool) -> str | None:
        """A patch to ``base`` that applies the culprit's change, or reverts it.

        None where it does not apply cleanly. Uses an index of its own, without a work tree.
        """
        index = self.path / "confirm.index"
        index.unlink(missing_ok=True)
        env = {"GIT_INDEX_FILE": str(index)}
        self._run("read-tree", base, env=env)
        words = ["apply", "--cached", *(["--reverse"] if reverse else []), "-"]
        done = self._try(*words, env=env, given=self.patch(culprit))
        if done.returncode != 0:
            return None
        made = self._run("write-tree", env=env).strip()
        return self._run("diff-tree", "-p", "-r", "--binary", base, made)


def resolve(tree: Path | str, rev: str) -> str:
    """A revision of the user's tree as a full hash; UserError when it does not name a commit."""
    found = find_commit(tree, rev)
    if found is None:
        raise UserError(f"{tree}: {rev!r} is not a commit there; give a tag, a branch or a hash")
    return found


def check_ends(tree: Path, good: str, bad: str, find_fix: bool) -> None:
    """UserError when two commits of a tree cannot be bisected in that order."""
    if good == bad:
        raise UserError("--good and --bad are the same commit: there is nothing between them")
    older, newer = (bad, good) if find_fix else (good, bad)
    if attempt("merge-base", "--is-ancestor", newer, older, at=tree).returncode == 0:
        wanted = "leave out --find-fix" if find_fix else "add --find-fix"
        end = "bad" if find_fix else "good"
        raise UserError(f"the {end} end is the newer one: {wanted}, or exchange the ends")
    if attempt("merge-base", older, newer, at=tree).returncode != 0:
        raise UserError("--good and --bad have no history in common: git cannot bisect them")


def top_of(tree: Path) -> Path:
    """The repository's folder; UserError when ``tree`` is not in one."""
    done = attempt("rev-parse", "--show-toplevel", at=tree)
    if done.returncode == 0 and done.stdout.strip():
        return Path(done.stdout.strip())
    bare = attempt("rev-parse", "--absolute-git-dir", at=tree)
    if bare.returncode == 0:
        return Path(bare.stdout.strip())
    raise UserError(f"{tree}: is not a git repository; a bisect needs the history")


def under_test(tree: Path) -> str:
    """The commit that `git bisect` wants tested: BISECT_HEAD (--no-checkout), else HEAD."""
    return find_commit(tree, "BISECT_HEAD") or resolve(tree, "HEAD")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "git said nothing"
