# SPDX-License-Identifier: GPL-2.0-or-later
"""Building a kernel, on a tiny fake kernel tree that the real make builds in milliseconds."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from lab.errors import LabError, UserError
from lab.kernel.build import build
from lab.kernel.kconfig import find_lacking, find_not_taken, find_undecided
from lab.kernel.kernel import Kernel
from lab.kernel.make import BuildFailed, find_build_error
from lab.kernel.source import TreeSource
from lab.kernel.spec import BuildSpec
from tests.helpers.kernels import MAKEFILE


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
    with pytest.raises(LabError, match=r"stray\.patch: hunk 1 of main\.c does not apply: it wants"):
        made(BuildSpec("k", TreeSource(tree), patches=(stray,)))
    assert made(BuildSpec("k", TreeSource(tree)))[0].image.read_text().startswith("first\nlazy\n")


def test_the_first_real_error_is_said_and_the_log_stays(
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


VITAL = (
    "X86_64", "XEN", "HVC_XEN", "SERIAL_8250_CONSOLE", "BLK_DEV_INITRD", "BINFMT_ELF", "PROC_FS",
    "PREEMPT_VOLUNTARY", "SLUB_DEBUG",
)  # fmt: skip


def test_xen_alone_does_not_make_a_pv_kernel_where_xen_pv_exists() -> None:
    config = "".join(f"CONFIG_{name}=y\n" for name in VITAL)
    assert not find_lacking(config, {"CONFIG_XEN"})
    assert find_lacking(config, {"CONFIG_XEN", "CONFIG_XEN_PV"}) == [
        "CONFIG_XEN_PV is off: it cannot run as dom0 or pv (Xen needs PARAVIRT and, in old "
        "versions, EXPERIMENTAL)"
    ]


def test_an_allocator_that_never_gives_way_is_said() -> None:
    config = "".join(f"CONFIG_{name}=y\n" for name in VITAL if name != "SLUB_DEBUG")
    assert "never gives way" in find_undecided(config, {"CONFIG_XEN", "CONFIG_SLUB_DEBUG"})[0]
    assert not find_undecided(config + "CONFIG_SLAB=y\n", {"CONFIG_XEN", "CONFIG_SLAB"})


def test_the_cause_is_said_before_its_effects() -> None:
    log = """$ make allnoconfig
grep: x: No such file or directory
$ make bzImage
warning: error: noise
  CC      drivers/acpi/uterror.o
Can't use 'defined(@array)' (Maybe you should just omit the defined()?) at timeconst.pl line 373.
make[1]: *** [kernel/Makefile:134: kernel/timeconst.h] Error 255
"""
    assert find_build_error(log).startswith("Can't use 'defined(@array)'")
    log = log.replace("warning: error", "x/Kconfig:23:error: recursive dependency detected!")
    assert find_build_error(log).startswith("Can't use 'defined(@array)'")
    log += "a.c:3:1: error: unknown type name 'x'\n"
    assert find_build_error(log) == "a.c:3:1: error: unknown type name 'x'"


def test_absent_counts_as_off() -> None:
    config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=16\n"
    assert not find_not_taken({"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_D": "n"}, config)
    assert find_not_taken({"CONFIG_A": "n", "CONFIG_C": "8"}, config) == [
        "CONFIG_A=n",
        "CONFIG_C=8",
    ]


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
    assert json.dumps(facts)


def test_the_script_beside_a_kernel_makes_the_same_one(tree: Path, tmp_path: Path) -> None:
    bad = patch(tmp_path, "1.patch", "lazy", "bad")
    wanted = fragment(tmp_path, "CONFIG_XEN=y\n")
    kernel, _ = made(BuildSpec("k", TreeSource(tree), patches=(bad,), fragments=(wanted,)))
    done = subprocess.run(
        ["sh", "-eu", "repeat.sh"], cwd=kernel.image.parent,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    image = Path(done.stdout.split()[-1])
    assert image.read_bytes() == kernel.image.read_bytes()
    assert image != kernel.image


def test_what_a_version_does_not_have_is_left_out_of_the_base(tree: Path, tmp_path: Path) -> None:
    (tree / "Kconfig").write_text("".join(f"config {name}\n\tbool\n" for name in VITAL))
    (tree / "Kconfig.names").write_text("".join(f"CONFIG_{name}=\n" for name in VITAL))
    base = fragment(tmp_path, "".join(f"CONFIG_{n}=y\n" for n in (*VITAL, "MULTIUSER")))
    kernel, _ = made(BuildSpec("k", TreeSource(tree), base=(base,)))
    assert kernel.provenance["not_in_version"] == ["CONFIG_MULTIUSER"]
    (tree / "Kconfig.names").write_text("".join(f"CONFIG_{n}=\n" for n in VITAL if n != "XEN"))
    with pytest.raises(BuildFailed, match="CONFIG_XEN is off: it cannot run as dom0 or pv"):
        made(BuildSpec("k", TreeSource(tree), base=(base,)))


def test_objects_of_the_users_own_stay_in_the_users_tree(tree: Path) -> None:
    (tree / ".config").touch()
    (tree / "main.o").touch()
    (tree / "include" / "generated").mkdir(parents=True)
    before = TreeSource(tree)
    source = tree.parent / "copy"
    before.bring(source, tree.parent / "state")
    assert sorted(path.name for path in source.iterdir()) == [
        "Kbuild", "Kconfig.names", "Makefile", "include", "main.c",
    ]  # fmt: skip
    assert not list((source / "include").iterdir())


def test_another_source_is_another_kernel(tree: Path) -> None:
    first = BuildSpec("k", TreeSource(tree)).key()
    (tree / "main.c").write_text("other\n")
    assert BuildSpec("k", TreeSource(tree)).key() != first


def test_a_folder_without_a_kernel_tree(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a Linux source tree"):
        TreeSource(tmp_path)
