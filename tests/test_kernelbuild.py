"""Building a kernel, on a tiny fake kernel tree that the real make builds in milliseconds."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest

from lab.errors import LabError, UserError
from lab.kernel import Kernel
from lab.kernelbuild import BuildSpec, build, not_taken
from lab.kernelsource import TreeSource

# The targets that the builder asks a kernel for. `allnoconfig` keeps the options that
# Kconfig.names knows, as the real one drops what it does not know.
MAKEFILE = """\
.PHONY: allnoconfig bzImage
allnoconfig:
\t@mkdir -p $(O)
\t@grep -F -f Kconfig.names $(KCONFIG_ALLCONFIG) >$(O)/.config || true
bzImage:
\t@sleep 0.2; echo built >>$(O)/count
\t@echo "  CC      main.o"
\t@if grep -q broken main.c; then echo "main.c:1: error: broken" >&2; \\
\t\techo "make: noise" >&2; exit 1; fi
\t@mkdir -p $(O)/arch/x86/boot
\t@cat main.c $(O)/.config >$(O)/arch/x86/boot/bzImage
\t@echo "$(KBUILD_BUILD_TIMESTAMP) $(LOCALVERSION)" >>$(O)/arch/x86/boot/bzImage
\t@cp main.c $(O)/vmlinux
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "linux"
    folder.mkdir()
    (folder / "Makefile").write_text(MAKEFILE)
    (folder / "Kbuild").touch()
    (folder / "Kconfig.names").write_text("CONFIG_XEN\nCONFIG_SMP\n")
    (folder / "main.c").write_text("first\nlazy\nlast\n")
    return folder


def patch(tmp_path: Path, name: str, old: str, new: str) -> Path:
    path = tmp_path / name
    path.write_text(
        f"Why.\n---\n--- a/main.c\n+++ b/main.c\n@@ -1,3 +1,3 @@\n first\n-{old}\n+{new}\n last\n"
    )
    return path


def fragment(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.config"
    path.write_text(text)
    return path


def made(spec: BuildSpec) -> tuple[Kernel, list[str]]:
    said: list[str] = []
    return build(spec, said.append), said


def times_built(cache: Path) -> int:
    return sum(len(path.read_text().split()) for path in cache.rglob("count"))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_build_comes_from_the_cache(tree: Path, tmp_path: Path, cache: Path) -> None:
    spec = BuildSpec("k", TreeSource(tree), fragments=(fragment(tmp_path, "CONFIG_XEN=y\n"),))
    first, said = made(spec)
    again, silent = made(spec)
    assert first == again
    assert times_built(cache) == 1
    assert said
    assert not silent
    assert first.image.read_text() == "first\nlazy\nlast\nCONFIG_XEN=y\n2020-01-01 \n"
    assert first.config is not None
    assert first.config.read_text() == "CONFIG_XEN=y\n"


def test_patches_go_into_the_copy_only(tree: Path, tmp_path: Path) -> None:
    before = content(tree)
    bad = patch(tmp_path, "1.patch", "lazy", "bad")
    fix = patch(tmp_path, "2.patch", "bad", "fixed")
    source = TreeSource(tree)
    images = {
        name: made(BuildSpec(name, source, patches=patches))[0].image
        for name, patches in (("bad", (bad,)), ("fixed", (bad, fix)), ("plain", ()))
    }
    # In that order the work folder gains a patch, and then loses both.
    for name, path in images.items():
        word = "lazy" if name == "plain" else name
        assert path.read_text().splitlines()[1] == word
    assert content(tree) == before


def test_a_patch_that_does_not_fit_is_named_and_spoils_nothing(tree: Path, tmp_path: Path) -> None:
    stray = patch(tmp_path, "stray.patch", "eager", "bad")
    with pytest.raises(LabError, match=r"stray\.patch does not apply"):
        made(BuildSpec("k", TreeSource(tree), patches=(stray,)))
    assert made(BuildSpec("k", TreeSource(tree)))[0].image.read_text().startswith("first\nlazy\n")


def test_the_first_real_error_is_told_and_the_log_stays(
    tree: Path, tmp_path: Path, cache: Path
) -> None:
    broken = patch(tmp_path, "1.patch", "lazy", "broken")
    spec = BuildSpec("k", TreeSource(tree), patches=(broken,))
    with pytest.raises(LabError, match=r"main\.c:1: error: broken"):
        made(spec)
    logs = [path for path in cache.rglob("*.log") if "make: noise" in path.read_text()]
    assert len(logs) == 1
    assert not (cache / "kernel" / spec.key()).exists()
    with pytest.raises(LabError):  # a failure is not remembered as a success
        made(spec)


def test_an_option_that_did_not_take_is_reported(tree: Path, tmp_path: Path, cache: Path) -> None:
    wanted = fragment(tmp_path, "CONFIG_XEN=y\nCONFIG_NO_SUCH=y\n# CONFIG_SMP is not set\n")
    with pytest.raises(LabError, match="did not take CONFIG_NO_SUCH=y:"):
        made(BuildSpec("k", TreeSource(tree), fragments=(wanted,)))
    assert times_built(cache) == 0


def test_absent_counts_as_off() -> None:
    config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=16\n"
    assert not not_taken({"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_D": "n"}, config)
    assert not_taken({"CONFIG_A": "n", "CONFIG_C": "8"}, config) == ["CONFIG_A=n", "CONFIG_C=8"]


def test_builds_at_once_do_not_collide(tree: Path, tmp_path: Path, cache: Path) -> None:
    source = TreeSource(tree)
    bad = patch(tmp_path, "1.patch", "lazy", "bad")
    specs = [BuildSpec("plain", source), BuildSpec("bad", source, patches=(bad,))] * 2
    images: dict[int, str] = {}

    def one(number: int) -> None:
        images[number] = made(specs[number])[0].image.read_text().splitlines()[1]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(specs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert images == {0: "lazy", 1: "bad", 2: "lazy", 3: "bad"}
    assert times_built(cache) == 2


def test_what_was_cut_off_is_unpacked_again(tree: Path, tmp_path: Path, cache: Path) -> None:
    source = TreeSource(tree)
    made(BuildSpec("plain", source))
    work = next(path.parent for path in cache.glob("kernel-work/*/src"))
    (work / "src" / "main.c").write_text("half-patched")
    (work / "changing").touch()
    bad = patch(tmp_path, "1.patch", "lazy", "bad")
    kernel, _ = made(BuildSpec("bad", source, patches=(bad,)))
    assert kernel.image.read_text().splitlines()[1] == "bad"


def test_provenance_says_what_it_was_made_of(tree: Path, tmp_path: Path) -> None:
    bad = patch(tmp_path, "1.patch", "lazy", "bad")
    spec = BuildSpec(
        "k", TreeSource(tree), patches=(bad,), make_vars=(("LOCALVERSION", "-lab"),),
        facts={"control": "bad"},
    )  # fmt: skip
    kernel, _ = made(spec)
    facts = kernel.provenance
    assert (facts["control"], facts["source_tree"]) == ("bad", str(tree))
    assert list(facts["patches"]) == ["1.patch"]
    again = "\n".join(facts["repeat"])
    assert "LOCALVERSION=-lab" in again
    assert re.search(r"patch -d src -p1 < \S*/1.patch", again)
    assert again.endswith("bzImage")
    assert json.dumps(facts)


def test_another_source_is_another_kernel(tree: Path) -> None:
    first = BuildSpec("k", TreeSource(tree)).key()
    (tree / "main.c").write_text("other\n")
    assert BuildSpec("k", TreeSource(tree)).key() != first


def test_a_folder_that_is_no_kernel_tree(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Linux source tree"):
        TreeSource(tmp_path)
