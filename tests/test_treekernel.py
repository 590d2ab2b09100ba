"""Kernels from git trees: revisions in one object folder, fix-ups, and clear refusals."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import fixups
from lab.errors import UserError
from lab.kernelbuild import BuildFailed, BuildSpec, build
from lab.kernelsource import RevisionSource
from lab.treekernel import source, tree_kernel
from tests.test_kernelbuild import MAKEFILE

GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def git(tree: Path, *words: str) -> str:
    done = subprocess.run([*GIT, "-C", tree, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(tree: Path, text: str) -> str:
    (tree / "main.c").write_text(text)
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", text.strip() or "empty")
    return git(tree, "rev-parse", "HEAD")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "linux"
    path.mkdir()
    (path / "Makefile").write_text(MAKEFILE)
    (path / "Kbuild").touch()
    git(path, "init", "-q")
    return path


def content(tree: Path, revision: str) -> str:
    found = RevisionSource.find(tree, revision, str(tree))
    kernel = build(BuildSpec("k", found, any_version=True), lambda _: None)
    assert kernel.provenance["source_commit"] == found.commit
    return kernel.image.read_text().splitlines()[0]


def test_revisions_share_one_folder_and_the_users_tree_is_not_touched(
    tree: Path, cache: Path
) -> None:
    first, second = commit(tree, "one\n"), commit(tree, "two\n")
    (tree / "main.c").write_text("uncommitted\n")
    assert content(tree, first) == "one"
    assert content(tree, second) == "two"
    assert content(tree, "HEAD~1") == "one"
    assert len([p for p in (cache / "kernel-work").iterdir() if p.is_dir()]) == 1
    assert (tree / "main.c").read_text() == "uncommitted\n"
    assert git(tree, "rev-parse", "HEAD") == second
    assert git(tree, "status", "--porcelain").split() == ["M", "main.c"]


def test_a_revision_that_does_not_build_says_so_and_the_next_one_does(tree: Path) -> None:
    good, broken = commit(tree, "fine\n"), commit(tree, "broken\n")
    assert content(tree, good) == "fine"
    with pytest.raises(BuildFailed, match=r"k does not build: main.c:1: error:"):
        content(tree, broken)
    assert content(tree, good) == "fine"


def test_what_is_not_there_is_said(tree: Path, tmp_path: Path) -> None:
    commit(tree, "one\n")
    with pytest.raises(UserError, match=r"git knows no commit 'v9.9' there"):
        source(str(tree), "v9.9")
    with pytest.raises(UserError, match=r"there is no such folder"):
        source(str(tmp_path / "nowhere"), None)
    with pytest.raises(UserError, match=r"there is no file"):
        tree_kernel("k", tree, None, [tmp_path / "no.patch"], print)
    with pytest.raises(UserError, match=r"'gcc-2.95' is not installed"):
        tree_kernel("k", tree, None, [], print, compiler="gcc-2.95")
    bare = tmp_path / "plain"
    bare.mkdir()
    with pytest.raises(UserError, match=r"is no git repository, so it has no revision 'v4.1'"):
        source(str(bare), "v4.1")
    with pytest.raises(UserError, match=r"git knows no commit '--upload-pack=x' there"):
        source(str(tree), "--upload-pack=x")


def test_a_url_is_mirrored_and_brought_up_to_date(tree: Path, cache: Path) -> None:
    commit(tree, "one\n")
    url = tree.as_uri()
    assert isinstance(source(url, "HEAD"), RevisionSource)
    later = commit(tree, "two\n")
    found = source(url, later)
    assert isinstance(found, RevisionSource)
    assert found.commit == later
    assert len([p for p in (cache / "git").iterdir() if p.is_dir()]) == 1


# -- fix-ups -----------------------------------------------------------------------------------


def old(tmp_path: Path, version: str, **files: str) -> Path:
    root = tmp_path / version
    root.mkdir()
    major, minor = version.split(".")
    (root / "Makefile").write_text(f"VERSION = {major}\nPATCHLEVEL = {minor}\nSUBLEVEL = 8\n")
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


HEAD = "\tpushq $\\i\t\t# 72(%rsp) Vector number\n\tjmp early_idt_handler\n\t.endr\n"


def test_the_short_jump_is_made_long_up_to_4_0(tmp_path: Path) -> None:
    tree = old(tmp_path, "3.19", arch__x86__kernel__head_64_dot_S=HEAD)
    assert fixups.apply(tree) == ["near-jump-64"]
    text = (tree / "arch/x86/kernel/head_64.S").read_text()
    assert "\t.byte 0xe9\n\t.long early_idt_handler - . - 4\n" in text
    assert fixups.apply(tree) == []
    newer = old(tmp_path, "4.1", arch__x86__kernel__head_64_dot_S=HEAD)
    assert fixups.apply(newer) == []


def test_perl_and_vdso_of_the_early_threes(tmp_path: Path) -> None:
    tree = old(
        tmp_path, "2.6",
        kernel__timeconst_dot_pl="\tif (!defined(@val)) {\n",
        arch__x86__vdso__Makefile="VDSO_LDFLAGS = -m elf_x86_64 -Wl,-soname=x\n",
    )  # fmt: skip
    assert fixups.apply(tree) == ["defined-array", "vdso-emulation"]
    assert (tree / "kernel/timeconst.pl").read_text() == "\tif (!@val) {\n"
    assert "-m64 -Wl,-soname" in (tree / "arch/x86/vdso/Makefile").read_text()


def test_the_missing_compiler_header_comes_from_outside(tmp_path: Path) -> None:
    tree = old(
        tmp_path, "3.18",
        include__linux__compiler_gcc_dot_h="#include gcc_header(__GNUC__)\n",
    )  # fmt: skip
    headers = tree / "include" / "linux"
    (headers / "compiler_gcc.h").rename(headers / "compiler-gcc.h")
    assert fixups.include_folder(tree, tmp_path / "inc", 12) is None  # nothing to copy
    (headers / "compiler-gcc4.h").write_text("four\n")
    (headers / "compiler-gcc5.h").write_text("five\n")
    assert fixups.include_folder(tree, tmp_path / "inc", 5) is None
    assert fixups.include_folder(tree, tmp_path / "inc", 12) == tmp_path / "inc"
    assert (tmp_path / "inc" / "linux" / "compiler-gcc12.h").read_text() == "five\n"
    assert not (headers / "compiler-gcc12.h").exists()


def test_todays_trees_are_left_alone(tmp_path: Path) -> None:
    release = fixups.version(old(tmp_path, "6.1"))
    assert release == (6, 1)
    assert fixups.compiler_words(release) == fixups.host_words(release) == ""
    assert "-std=gnu89" in fixups.compiler_words((3, 19))
    assert "-fcommon" not in fixups.compiler_words((3, 19))  # it would misplace boot_params
