# SPDX-License-Identifier: GPL-2.0-or-later
"""Building Xen, from a tiny fake tree by the real make."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.config.xen import XenConfig
from lab.errors import LabError, UserError
from lab.xen import build as xenbuild
from lab.xen.source import find_source

_MAKEFILE = """\
defconfig:
\ttouch .config
all: .config
\tmkdir -p include/xen
\tprintf '#define XEN_VERSION 4\\n#define XEN_SUBVERSION 99\\n#define XEN_EXTRAVERSION ".1-lab"\\n' > include/xen/compile.h
\t@grep -q fine arch/x86/traps.c || { echo 'traps.c:1: error: not fine'; exit 1; }
\tcp arch/x86/traps.c xen
\tcp xen xen-syms
.DEFAULT_GOAL := all
"""  # noqa: E501


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    base = tmp_path / "tree"
    (base / "xen" / "arch" / "x86").mkdir(parents=True)
    (base / "xen" / "Makefile").write_text(_MAKEFILE)
    (base / "xen" / "arch" / "x86" / "Makefile").touch()
    (base / "xen" / "arch" / "x86" / "traps.c").write_text("one\nfine\nthree\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words],
            cwd=base, check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )  # fmt: skip
    return base


def say(_state: str) -> None:
    pass


def patch(tmp_path: Path, new: str) -> Path:
    path = tmp_path / f"{new}.patch"
    path.write_text(
        "--- a/xen/arch/x86/traps.c\n+++ b/xen/arch/x86/traps.c\n@@ -1,3 +1,3 @@\n one\n"
        f"-fine\n+{new}\n three\n"
    )
    return path


def test_a_tree_is_built_with_patches_and_cached(tmp_path: Path, tree: Path) -> None:
    config = XenConfig(tree=tree, patches=[patch(tmp_path, "finer")])
    image, version, facts = xenbuild.build(config, say)
    assert image.read_text() == "one\nfiner\nthree\n"
    assert (version, facts["package"]) == ("4.99.1-lab", "tree")
    assert set(facts["patches"]) == {"finer.patch"}
    stamp = image.stat().st_mtime_ns
    assert xenbuild.build(config, say)[0].stat().st_mtime_ns == stamp
    assert xenbuild.build(XenConfig(tree=tree), say)[0] != image
    assert (tree / "xen" / "arch" / "x86" / "traps.c").read_text() == "one\nfine\nthree\n"
    assert not (tree / "xen" / ".config").exists()


def test_what_a_build_in_the_tree_left_is_not_taken(tmp_path: Path, tree: Path) -> None:
    (tree / "xen" / "include" / "xen").mkdir(parents=True)
    for name in ("include/xen/compile.h", ".config", "xen", "arch/x86/traps.o"):
        (tree / "xen" / name).write_text("stale")
    source, kind = find_source(XenConfig(tree=tree), say)
    source.bring(tmp_path / "copy", tmp_path / "state")
    files = [path.name for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert sorted(files) == ["Makefile", "Makefile", "traps.c"]
    assert kind == "tree"


def test_a_revision_is_built_as_committed(tree: Path) -> None:
    (tree / "xen" / "arch" / "x86" / "traps.c").write_text("changed\nfine\n")
    image, _, facts = xenbuild.build(XenConfig(tree=tree, rev="HEAD"), say)
    assert image.read_text() == "one\nfine\nthree\n"
    assert len(facts["source_commit"]) == 40
    with pytest.raises(UserError, match=r"xen\.rev: 'v9' is not a revision of"):
        xenbuild.build(XenConfig(tree=tree, rev="v9"), say)


def test_what_does_not_build_or_fit_is_said(tmp_path: Path, tree: Path, cache: Path) -> None:
    with pytest.raises(LabError, match=r"Xen does not build: .*: traps\.c:1: error: not fine"):
        xenbuild.build(XenConfig(tree=tree, patches=[patch(tmp_path, "bad")]), say)
    twice = [patch(tmp_path, "finer"), patch(tmp_path, "finest")]
    with pytest.raises(UserError, match=r"finest\.patch: hunk 1 of xen/arch/x86/traps\.c does not"):
        xenbuild.build(XenConfig(tree=tree, patches=twice), say)
    with pytest.raises(UserError, match="is not a Xen source tree"):
        xenbuild.build(XenConfig(tree=tmp_path), say)
    assert not [p for p in (cache / "xen").iterdir() if p.is_dir() and not p.name.startswith(".")]
