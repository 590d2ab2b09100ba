# SPDX-License-Identifier: GPL-2.0-or-later
"""git is run the same way wherever and by whomever the lab is used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.errors import LabError, UserError
from lab.system.git import attempt, find_commit, git, read_file, read_title
from lab.system.tree import Commit, Folder, find_revision


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    (path / "lib").mkdir(parents=True)
    (path / "lib" / "odd.c").write_bytes(b"caf\xe9\r\n")
    (path / "link").symlink_to("lib/odd.c")
    git("init", "-q", path)
    commit(path, "the first")
    return path


def commit(tree: Path, message: str) -> str:
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER")
             for what in ("NAME", "EMAIL")}  # fmt: skip
    git("add", "-A", at=tree)
    git("commit", "-q", "-m", message, at=tree, env=names)
    return git("rev-parse", "HEAD", at=tree).strip()


def test_what_surrounds_it_has_no_say(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = git("rev-parse", "HEAD", at=tree)
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "nonsense")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    config = tree.parent / "home" / ".gitconfig"
    config.parent.mkdir()
    config.write_text("[diff]\n\tnoprefix = true\n")
    monkeypatch.setenv("HOME", str(config.parent))
    assert git("rev-parse", "HEAD", at=tree) == head
    (tree / "lib" / "odd.c").write_text("other\n")
    assert "--- a/lib/odd.c" in git("diff", at=tree)
    with pytest.raises(LabError, match=r"^git log failed \(128\): fatal: ambiguous argument"):
        git("log", "v9", at=tree)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_elses_is_read(tree: Path, tmp_path: Path) -> None:
    subprocess.run(["chown", "-R", "65534:65534", tree], check=True)
    assert find_commit(tree, "HEAD")
    git("clone", "-q", "--bare", tree, tmp_path / "copy")  # git asks another process of its own


def test_a_revision_is_found_or_is_not(tree: Path) -> None:
    assert find_commit(tree, "HEAD") == git("rev-parse", "HEAD", at=tree).strip()
    assert find_commit(tree, "v9") is None
    assert find_commit(tree, "--all") is None
    assert find_commit(tree.parent, "HEAD") is None
    with pytest.raises(UserError, match="here: git knows no commit 'v9' there"):
        find_revision(tree, "v9", "here")
    assert attempt("rev-parse", "v9", at=tree).returncode != 0


def test_a_file_keeps_its_bytes(tree: Path) -> None:
    text = read_file(tree, "HEAD", "lib/odd.c")
    assert text is not None
    assert text.encode(errors="surrogateescape") == b"caf\xe9\r\n"
    assert [read_file(tree, "HEAD", name) for name in ("lib", "link", "none")] == [None] * 3
    assert read_file(tree / "lib", "HEAD", "lib/odd.c") == text


def test_a_title_can_be_shown(tree: Path) -> None:
    made = commit_tree(tree, b"caf\xe9\n\nbody\n")
    assert read_title(tree, made) == "caf\N{REPLACEMENT CHARACTER}"


def commit_tree(tree: Path, message: bytes) -> str:
    name = "x <x> 1 +0000"
    top = git("rev-parse", "HEAD^{tree}", at=tree).strip()
    raw = f"tree {top}\nauthor {name}\ncommitter {name}\n\n".encode() + message
    given = raw.decode(errors="surrogateescape")
    return git("hash-object", "-t", "commit", "-w", "--stdin", at=tree, given=given).strip()


def test_a_tree_is_brought_as_it_lies_or_as_it_was_committed(tree: Path, tmp_path: Path) -> None:
    committed = Commit(tree, git("rev-parse", "HEAD", at=tree).strip(), str(tree))
    before = Folder(tree).id
    (tree / "new.c").write_text("new\n")
    assert Folder(tree).id != before
    Folder(tree).bring(tmp_path / "one", tmp_path / "one.state")
    assert (tmp_path / "one" / "new.c").read_text() == "new\n"
    assert not (tmp_path / "one" / ".git").exists()
    committed.bring(tmp_path / "two", tmp_path / "two.state")
    assert not (tmp_path / "two" / "new.c").exists()
    assert (tmp_path / "two" / "lib" / "odd.c").read_bytes() == b"caf\xe9\r\n"
    (tmp_path / "two" / "link").unlink()
    committed.bring(tmp_path / "two", tmp_path / "two.state")
    assert (tmp_path / "two" / "link").is_symlink()
    for each in (Folder(tree), committed):
        assert each.read("lib/odd.c") == "caf\udce9\r\n"
        assert each.read("link") is None
    assert Folder(tree).provenance["source_changes"] == "1 files not as committed"


def test_reading_a_tree_writes_nothing_in_it(tree: Path) -> None:
    os.utime(tree / "lib" / "odd.c", (1, 1))  # git would note the new time in its index
    files = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
    assert Folder(tree).provenance
    assert files == {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
