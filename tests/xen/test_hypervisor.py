"""Hypervisors: what lab.yaml may say of them, where they come from, which host runs first."""

from __future__ import annotations

import gzip
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from lab.config.cells import Cell, cells
from lab.config.load import parse
from lab.config.xen import XenConfig
from lab.errors import LabError, UserError
from lab.run.schedule import batches
from lab.system import debian
from lab.system.files import PROJECT
from lab.xen import build as xenbuild
from lab.xen import hypervisor as xen
from lab.xen.source import find_source
from tests.config.test_hostkey import ED25519

HERE = Path("/somewhere/lab.yaml")
TWO = PROJECT / "plans" / "two-fixes.yaml"
PATCH = "0001-x86-pv-enter-the-guest-s-NM-handler-with-CR0.TS-set.patch"

BASE = """
xens:
  mine: {source: xen, patches: [a.patch], args: vcpu_migration_delay=1}
  other: {file: xen.gz}
kernels:
  old: {image: old.bzImage}
variations:
  on-mine: {xen: mine}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        cells(parse(text, HERE))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Configuration


def test_paths_are_relative_to_the_file() -> None:
    config = parse(BASE, HERE)
    assert config.xens["mine"].patches == [Path("/somewhere/a.patch")]
    assert config.xens["other"].file == Path("/somewhere/xen.gz")
    assert config.xen.packaged
    assert not config.xens["mine"].packaged


def test_a_variation_brings_its_xen_to_a_cell() -> None:
    plan = cells(parse(BASE + "matrix: {guests: [pv], variations: [plain, on-mine]}", HERE))
    assert [(cell.id, cell.xen) for cell in plan] == [("pv-old", ""), ("pv-old~on-mine", "mine")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("xens: {a: {file: x, source: xen}}", "xens.a: a hypervisor is from one of file, source"),
        ("xen: {patches: [a.patch]}", "'patches' need a 'source' or 'tree'"),
        ("xen: {options: [CONFIG_PV32=y]}", "'options' need a 'source' or 'tree'"),
        ("xen: {source: xen, options: [PV32]}", "lines such as CONFIG_PV32=y"),
        ("xen: {source: xen, rev: v1}", "'rev' is a revision of a 'tree'"),
        ("variations: {v: {xen: none}}", "variations.v.xen: 'none' is not under 'xens:'"),
        ("xens: {a: {sources: xen}}", "unknown key 'sources'; did you mean 'source'?"),
        ("xens: {'a b': {source: xen}}", "'a b' is not a name"),
        ("xens: {a: {file: x}}\nvariations: {v: {xen: a}}\n"
         "matrix: {guests: [native], variations: [v]}", "a native cell has no Xen"),
        ("xens: {a: {file: x}}\nvariations: {v: {xen: a}}\nmatrix: {guests: [pv], variations: [v]}"
         f"\nhost: {{kind: real, address: a, host_key: ssh-ed25519 {ED25519}}}",
         "does not change the Xen of a real host"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    assert words in refusal(f"{text}\nkernels: {{old: {{image: old.bzImage}}}}")


def test_the_plan_of_the_two_fixes_has_an_expectation_for_every_cell() -> None:
    plan = cells(parse(TWO.read_text(), TWO))
    assert all(cell.expect for cell in plan)
    assert {cell.xen for cell in plan} == {"", "rebuilt", "ts-set"}
    config = parse(TWO.read_text(), TWO)
    assert all(path.is_file() for entry in config.xens.values() for path in entry.patches)


# The order of hosts


def cell(name: str, xen: str = "", control: bool = False) -> Cell:
    return Cell(name, "pv", name, xen=xen, expect="corrupts" if control else None)


def names(found: list[list[Cell]]) -> list[list[str]]:
    return [[one.id for one in batch] for batch in found]


def test_one_xen_is_one_host() -> None:
    assert names(batches([cell("c", control=True), cell("a"), cell("b")])) == [["c", "a", "b"]]


def test_one_host_for_each_xen_the_controls_first() -> None:
    chosen = [cell("a", "ts"), cell("b"), cell("c", control=True), cell("d", "ts")]
    assert names(batches(chosen)) == [["c", "b"], ["a", "d"]]


def test_no_host_waits_for_a_control_of_a_later_one() -> None:
    chosen = [cell("c", "x", control=True), cell("a", "x"), cell("k", control=True), cell("b")]
    found = names(batches(chosen))
    assert found == [["c"], ["k", "b"], ["a"]]
    assert names(batches([cell("a", "x"), cell("b")])) == [["a"], ["b"]]


# A file


def test_a_file_is_taken_gzipped_or_not(tmp_path: Path) -> None:
    image = b"\x7fELF\x01 a hypervisor"
    plain, packed = tmp_path / "xen", tmp_path / "xen.gz"
    plain.write_bytes(image)
    packed.write_bytes(gzip.compress(image))
    found = [xen.resolve(XenConfig(file=path, args="a=b")) for path in (plain, packed)]
    assert [one.image.read_bytes() for one in found] == [image, image]
    assert found[0].args == "a=b"
    assert found[0].provenance()["sha256"] == found[1].provenance()["sha256"]


@pytest.mark.parametrize("content", [b"\x7fELF\x02 xen-syms", b"MZ efi", b"\x1f\x8bbroken", b""])
def test_a_file_that_qemu_cannot_load_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "xen").write_bytes(content)
    with pytest.raises(UserError, match=r"xen\.file: .*/xen "):
        xen.resolve(XenConfig(file=tmp_path / "xen"))
    with pytest.raises(UserError, match="cannot be read"):
        xen.resolve(XenConfig(file=tmp_path / "none"))


# A tree: a tiny fake one, built by the real make

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


def test_what_does_not_build_or_fit_is_told(tmp_path: Path, tree: Path, cache: Path) -> None:
    with pytest.raises(LabError, match=r"Xen does not build: .*: traps\.c:1: error: not fine"):
        xenbuild.build(XenConfig(tree=tree, patches=[patch(tmp_path, "bad")]), say)
    twice = [patch(tmp_path, "finer"), patch(tmp_path, "finest")]
    with pytest.raises(UserError, match=r"finest\.patch: hunk 1 of xen/arch/x86/traps\.c does not"):
        xenbuild.build(XenConfig(tree=tree, patches=twice), say)
    with pytest.raises(UserError, match="is not a Xen source tree"):
        xenbuild.build(XenConfig(tree=tmp_path), say)
    assert not [p for p in (cache / "xen").iterdir() if p.is_dir() and not p.name.startswith(".")]


# Debian's source, from an archive in a folder


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt that lists versions 2 and 10 and does not keep 10, and writes down what it is told."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    log = tmp_path / "apt.log"
    script = f"""#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$*" in
  *indextargets*) echo "http://archive.invalid/debian/ stable main";
                  echo "http://archive.invalid/debian/ stable main" ;;
  *showsrc*) printf 'Package: xen\\nVersion: 2-1\\n\\nPackage: xen\\nVersion: 10-1\\n' ;;
  *--download-only*=10-1*) echo "E: Failed to fetch: 404  Not Found"; exit 100 ;;
  *--download-only*) touch xen_2-1.dsc xen_2.orig.tar.xz ;;
esac
"""
    for name in ("apt-get", "apt-cache"):
        (bin_ / name).write_text(script)
        (bin_ / name).chmod(0o755 | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin:/usr/sbin:/sbin")
    return log


@pytest.mark.skipif(not shutil.which("dpkg"), reason="needs dpkg to compare versions")
def test_the_source_is_the_newest_that_the_archive_keeps(archive: Path, cache: Path) -> None:
    said: list[str] = []
    for wanted in ("10-1", None, "2-1"):
        found = debian.source("xen", wanted, said.append)
        assert (found.version, found.file.name) == ("2-1", "xen_2-1.dsc")
    assert "the archive does not have xen 10-1" in said
    calls = archive.read_text()
    fetched = [line for line in calls.splitlines() if "--download-only" in line]
    assert [line.rsplit("=", 1)[1] for line in fetched] == ["10-1", "2-1", "10-1"]
    debian.source("xen", "10-1", said.append)
    assert archive.read_text() == calls
    # Lists of its own, in the cache: nobody's sources are changed, no root is needed.
    (entry,) = (cache / "src" / "apt" / "sources.list").read_text().splitlines()
    assert entry.startswith("deb-src ")
    assert entry.endswith("http://archive.invalid/debian/ stable main")
    assert f"-o=Dir::State::Lists={cache / 'src' / 'apt' / 'lists'}" in calls
