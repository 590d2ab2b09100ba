# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels from git trees: revisions in one object folder, fix-ups, and clear refusals."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.errors import UserError
from lab.kernel import fixup as fixups
from lab.kernel.build import build
from lab.kernel.fixup_table import TABLE
from lab.kernel.make import BuildFailed
from lab.kernel.source import RevisionSource, find_series
from lab.kernel.spec import BuildSpec
from lab.kernel.tree import build_tree, choose_compiler, find_source
from lab.kernel.worktree import Mend, Worktree
from tests.helpers.kernels import MAKEFILE

GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org")


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
    kernel = build(BuildSpec("k", found), lambda _: None)
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
        find_source(str(tree), "v9.9")
    with pytest.raises(UserError, match=r"there is no such folder"):
        find_source(str(tmp_path / "nowhere"), None)
    with pytest.raises(UserError, match=r"there is no file"):
        build_tree("k", tree, None, [tmp_path / "no.patch"], print)
    with pytest.raises(UserError, match=r"'gcc-2.95' is not installed"):
        build_tree("k", tree, None, [], print, compiler="gcc-2.95")
    bare = tmp_path / "plain"
    bare.mkdir()
    with pytest.raises(UserError, match=r"is not a git repository, so it has no revision 'v4.1'"):
        find_source(str(bare), "v4.1")
    with pytest.raises(UserError, match=r"git knows no commit '--upload-pack=x' there"):
        find_source(str(tree), "--upload-pack=x")
    with pytest.raises(UserError, match="the make variable CC cannot be given"):
        build_tree("k", tree, None, [], print, make={"CC": "x"})


def test_a_url_is_mirrored_and_brought_up_to_date(tree: Path, cache: Path) -> None:
    commit(tree, "one\n")
    url = tree.as_uri()
    assert isinstance(find_source(url, "HEAD"), RevisionSource)
    later = commit(tree, "two\n")
    found = find_source(url, later)
    assert isinstance(found, RevisionSource)
    assert found.commit == later
    assert len([p for p in (cache / "git").iterdir() if p.is_dir()]) == 1


def test_a_file_that_ends_up_as_it_was_keeps_its_time(tree: Path, tmp_path: Path) -> None:
    first, second = commit(tree, "one\n"), commit(tree, "two\n")
    work = Worktree(tmp_path / "work")
    mend = Mend("header.h", lambda _text: "made\n")

    def bring(revision: str) -> tuple[str, int, int]:
        work.bring(RevisionSource.find(tree, revision, ""), (), lambda _src: [mend])
        files = [work.src / name for name in ("main.c", "header.h", "Kbuild")]
        assert files[1].read_text() == "made\n"
        times = [path.stat().st_mtime_ns for path in files[1:]]
        return files[0].read_text(), times[0], times[1]

    one, two = bring(first), bring(second)
    assert (one[0], two[0]) == ("one\n", "two\n")
    assert one[1:] == two[1:] == bring(second)[1:]
    assert b"+made" in work.difference()
    work.bring(RevisionSource.find(tree, first, ""), (), lambda _src: [])
    assert not (work.src / "header.h").exists()
    assert work.difference() == b""


def test_an_older_compiler_for_an_older_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.kernel.tree.shutil.which", lambda name: name if "1" in name else None)
    assert choose_compiler(None, (3, 19, 8)) == "gcc-11"
    assert choose_compiler(None, (6, 1, 0)) == "gcc"
    assert choose_compiler("gcc-12", (3, 19, 8)) == "gcc-12"
    monkeypatch.setattr("lab.kernel.tree.shutil.which", lambda _name: None)
    assert choose_compiler(None, (3, 19, 8)) == "gcc"


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


def mended(tree: Path, release: tuple[int, int, int], major: int = 12) -> dict[str, str]:
    """The files that the fix-ups change, with their new text."""
    made: dict[str, str] = {}
    for mend in fixups.choose(TABLE, release, tree, major).mends:
        path = tree / mend.path
        text = made.get(mend.path) or (path.read_text() if path.exists() else "")
        made[mend.path] = mend.edit(text) or ""
    return made


def test_the_short_jump_is_made_long_where_the_tree_has_it(tmp_path: Path) -> None:
    tree = old(tmp_path, "3.19", arch__x86__kernel__head_64_dot_S=HEAD)
    text = mended(tree, (3, 19, 8))["arch/x86/kernel/head_64.S"]
    assert "\t.byte 0xe9\n\t.long early_idt_handler - . - 4\n" in text
    # With the fix, which stable series have too, it is called otherwise.
    fixed = old(
        tmp_path, "4.0", arch__x86__kernel__head_64_dot_S=HEAD.replace("er\n", "er_common\n")
    )
    assert not mended(fixed, (4, 0, 9))
    assert not mended(tree, (4, 1, 0))


def test_perl_and_vdso_of_the_early_threes(tmp_path: Path) -> None:
    tree = old(
        tmp_path, "2.6",
        kernel__timeconst_dot_pl="\tif (!defined(@val)) {\n",
        arch__x86__vdso__Makefile="A = -m elf_x86_64 -Wl,-soname=x\nB = -m elf_i386 x\n",
    )  # fmt: skip
    made = mended(tree, (2, 6, 32))
    assert made["kernel/timeconst.pl"] == "\tif (!@val) {\n"
    assert made["arch/x86/vdso/Makefile"] == "A = -m64 -Wl,-soname=x\nB = -m32 x\n"


def test_a_stand_in_for_an_address_is_written_out(tmp_path: Path) -> None:
    line = "#define PER_CPU_VAR(var, off)\t0xdeadbeef\n"
    tree = old(tmp_path, "2.6", arch__x86__xen__xen_dot_S=line)
    file = tree / "arch/x86/xen/xen-asm_64.S"
    file.with_name("xen.S").rename(file)
    text = mended(tree, (2, 6, 29))["arch/x86/xen/xen-asm_64.S"]
    assert text == line.replace("0xdead", "0xffffffffdead")
    assert not mended(tree, (2, 6, 30))
    file.write_text(text)
    assert not mended(tree, (2, 6, 29))


def test_a_mixed_rule_becomes_two(tmp_path: Path) -> None:
    tree = old(tmp_path, "2.6")
    rest = "\t$(Q)mkdir -p include\n\t$(Q)$(MAKE) $@\n"
    (tree / "Makefile").write_text(f"config %config: outputmakefile FORCE\n{rest}\nx: y\n\tz\n")
    made = mended(tree, (2, 6, 27))["Makefile"]
    assert made == (
        f"config: outputmakefile FORCE\n{rest}\n%config: outputmakefile FORCE\n{rest}\nx: y\n\tz\n"
    )
    (tree / "Makefile").write_text(made)
    assert not mended(tree, (2, 6, 27))


def test_a_constant_for_movq_fits_it(tmp_path: Path) -> None:
    text = 'ret, "q", "", "ir", 8);\nret, "q", "", "=r", 8);\nret, "w", "w", "ir", 2);\n'
    fixed = text.replace('"q", "", "ir"', '"q", "", "er"')
    early = old(tmp_path, "2.6", **{"include__asm-x86__uaccess_64_dot_h": text})
    assert mended(early, (2, 6, 27)) == {"include/asm-x86/uaccess_64.h": fixed}
    later = old(tmp_path, "2.7", arch__x86__include__asm__uaccess_64_dot_h=text)
    assert mended(later, (2, 6, 30)) == {"arch/x86/include/asm/uaccess_64.h": fixed}
    assert not mended(later, (2, 6, 31))


def test_what_only_assembly_names_is_kept(tmp_path: Path) -> None:
    text = (
        "static void noinline __sched\n__mutex_lock_slowpath(atomic_t *lock_count);\n"
        "static noinline void\n__mutex_unlock_slowpath(atomic_t *lock_count)\n"
    )
    tree = old(tmp_path, "2.6", kernel__mutex_dot_c=text)
    assert mended(tree, (2, 6, 27))["kernel/mutex.c"] == (
        "static __used noinline void __sched\n__mutex_lock_slowpath(atomic_t *lock_count);\n"
        "static __used noinline void\n__mutex_unlock_slowpath(atomic_t *lock_count)\n"
    )


def test_a_function_is_not_declared_as_data(tmp_path: Path) -> None:
    text = "acpi_status __initdata acpi_os_initialize(void);\n"
    tree = old(tmp_path, "3.2", include__acpi__acpiosxf_dot_h=text)
    made = {"include/acpi/acpiosxf.h": text.replace("initdata", "init")}
    assert mended(tree, (3, 2, 23)) == made


def test_the_decompressor_gets_no_sse(tmp_path: Path) -> None:
    path = "arch__x86__boot__compressed__Makefile"
    tree = old(tmp_path, "3.2", **{path: "KBUILD_CFLAGS := -m$(BITS) -O2\n"})
    assert "-mno-sse" in words(tree, (3, 2, 23))[0]
    assert "-mno-sse" not in words(tree, (3, 13, 0))[0]
    tree = old(tmp_path, "3.10", **{path: "KBUILD_CFLAGS += -mno-mmx -mno-sse\n"})
    assert "-mno-sse" not in words(tree, (3, 10, 105))[0]


def test_a_relocation_type_is_added_once(tmp_path: Path) -> None:
    text = "\t\tcase R_X86_64_PC32:\n\t\t\tval -= (u64)loc;\n"
    tree = old(tmp_path, "4.9", arch__x86__kernel__module_dot_c=text)
    made = mended(tree, (4, 9, 0))
    new = made["arch/x86/kernel/module.c"]
    assert new.startswith("\t\tcase R_X86_64_PC32:\n\t\tcase R_X86_64_PLT32:\n\t\t\tval")
    (tree / "arch/x86/kernel/module.c").write_text(new)
    assert not mended(tree, (4, 9, 0))


def test_an_error_for_newer_compilers_goes(tmp_path: Path) -> None:
    text = (
        "#if __GNUC__ > 4\n#error no compiler-gcc.h file for this gcc version\n"
        "#elif __GNUC__ == 4\n# include <linux/compiler-gcc4.h>\n"
    )
    tree = old(tmp_path, "2.6", include__linux__compiler_dot_h=text)
    made = mended(tree, (2, 6, 26))
    new = "#if __GNUC__ >= 4\n# include <linux/compiler-gcc4.h>\n"
    assert made == {"include/linux/compiler.h": new}
    assert mended(tree, (2, 6, 28)) == made
    assert not mended(tree, (2, 6, 29))


def test_a_compiler_newer_than_the_tree_gets_a_header(tmp_path: Path) -> None:
    tree = old(tmp_path, "3.18")
    headers = tree / "include" / "linux"
    headers.mkdir(parents=True)
    assert not mended(tree, (3, 18, 0))
    (headers / "compiler-gcc.h").write_text("#include gcc_header(__GNUC__)\n")
    assert not mended(tree, (3, 18, 0))  # nothing to lead to
    (headers / "compiler-gcc4.h").touch()
    (headers / "compiler-gcc5.h").touch()
    assert not mended(tree, (3, 18, 0), major=5)
    made = {"include/linux/compiler-gcc12.h": "#include <linux/compiler-gcc5.h>\n"}
    assert mended(tree, (3, 18, 0)) == made


def words(tree: Path, release: tuple[int, int, int]) -> tuple[str, str]:
    chosen = fixups.choose(TABLE, release, tree, 12)
    return " ".join(chosen.cc), " ".join(chosen.hostcc)


def test_words_for_the_compiler_go_by_what_the_tree_lacks(tmp_path: Path) -> None:
    tree = old(tmp_path, "3.19")
    cc, host = words(tree, (3, 19, 8))
    assert "-fno-pie -no-pie" in cc
    assert "-std=gnu89" in cc
    assert "-fcommon" in host
    assert "-fcommon" not in cc  # it would override -fno-common and misplace boot_params
    with (tree / "Makefile").open("a") as makefile:
        makefile.write("KBUILD_CFLAGS += $(call cc-option,-fno-PIE)\n")
    assert "pie" not in words(tree, (3, 19, 8))[0]


def test_what_a_series_is() -> None:
    assert find_series((3, 19, 8)) == find_series((3, 19, 0))
    assert find_series((2, 6, 32)) != find_series((2, 6, 31))


def test_todays_trees_are_left_alone(tmp_path: Path) -> None:
    tree = old(tmp_path, "6.1")
    assert fixups.consider(TABLE, (6, 1, 0)) == ()
    assert fixups.choose(TABLE, (6, 1, 0), tree, 12) == fixups.Chosen((), (), (), ())


def test_every_fixup_says_why_and_who_knows() -> None:
    every = fixups.consider(TABLE, (2, 6, 26))
    assert len({fixup.name for fixup in every}) == len(every)
    assert all(fixup.reason and fixup.source for fixup in every)
