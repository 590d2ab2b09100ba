# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole configuration as the base of a build: read, cut down, and what keeps the bug away."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from lab.config.kernel import KernelConfig
from lab.errors import UserError
from lab.kernel import baseconfig, kconfig, trimming
from lab.kernel.build import build
from lab.kernel.fixup import Chosen
from lab.kernel.make import write_command
from lab.kernel.tree import specify
from tests.helpers.kernels import MAKEFILE, bz_image

WHOLE = """\
CONFIG_X86=y
CONFIG_64BIT=y
CONFIG_X86_64=y
CONFIG_LOCALVERSION="-mine"
CONFIG_PREEMPT_NONE=y
# CONFIG_PREEMPT_VOLUNTARY is not set
CONFIG_SLUB=y
CONFIG_SMP=y
CONFIG_KERNEL_XZ=y
CONFIG_NET=y
CONFIG_NET_MARK="a word"
CONFIG_DRM=y
CONFIG_EXT4_FS=m
CONFIG_XENFS=m
CONFIG_LATER=y
"""
# Every option that the tree knows, by its Kconfig file.
PLACES = {
    "Kconfig": "64BIT X86_64 XEN BLK_DEV_INITRD BINFMT_ELF PROC_FS "
    "SLUB SLUB_DEBUG SMP LOCALVERSION X86 MODULES IKCONFIG",
    "net/Kconfig": "NET NET_MARK",
    "drivers/gpu/Kconfig": "DRM",
    "drivers/tty/Kconfig": "HVC_XEN SERIAL_8250_CONSOLE",
    "drivers/xen/Kconfig": "XENFS",
    "fs/ext4/Kconfig": "EXT4_FS",
    "arch/arm/Kconfig": "LATER",
}
CHOICES = ("KERNEL_GZIP KERNEL_XZ", "PREEMPT_NONE PREEMPT_VOLUNTARY")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "linux"
    for name, words in PLACES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("".join(f"config {word}\n\tbool\n" for word in words.split()))
    with (folder / "Kconfig").open("a") as file:
        for words in CHOICES:
            options = "".join(f"config {word}\n\tbool\n\n" for word in words.split())
            file.write(f"choice\n\tprompt x\n{options}endchoice\n")
    every = " ".join((*PLACES.values(), *CHOICES))
    (folder / "Kconfig.names").write_text("".join(f"CONFIG_{word}=\n" for word in every.split()))
    (folder / "Makefile").write_text(f"VERSION = 3\nPATCHLEVEL = 10\nSUBLEVEL = 1\n{MAKEFILE}")
    (folder / "Kbuild").touch()
    (folder / "main.c").write_text("int x;\n")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config-3.10"
    path.write_text(WHOLE)
    return path


def ikconfig(text: str) -> bytes:
    return b"before IKCFG_ST" + gzip.compress(text.encode()) + b"IKCFG_ED after"


def test_a_config_is_read_from_wherever_it_is(tmp_path: Path) -> None:
    file = tmp_path / "config"
    images = {
        "text": WHOLE.encode(),
        "as in /proc": gzip.compress(WHOLE.encode()),
        "vmlinux": b"\x7fELF" + ikconfig(WHOLE),
        "vmlinux.gz": gzip.compress(b"\x7fELF" + ikconfig(WHOLE)),
        "bzImage": bz_image(ikconfig(WHOLE)),
    }
    for name, content in images.items():
        file.write_bytes(content)
        assert baseconfig.read(file).text == WHOLE, name


def test_what_is_not_a_config_is_said(tmp_path: Path) -> None:
    file = tmp_path / "config"
    with pytest.raises(UserError, match="cannot be read"):
        baseconfig.read(file)
    for content, says in (
        (b"\x7fELF and no more", "does not hold its configuration"),
        (bz_image(b""), "does not hold its configuration"),
        (b"\x7fELF IKCFG_ST what IKCFG_ED", "does not unpack"),
        (b"CONFIG_ARM64=y\n", "is not the whole .config of an x86 kernel"),
        (b"\x1f\x8b\0\0", "does not unpack"),
    ):
        file.write_bytes(content)
        with pytest.raises(UserError, match=says):
            baseconfig.read(file)


def test_modules_and_folders_are_cut_and_what_the_tree_lacks(tree: Path) -> None:
    made = trimming.trim(kconfig.read_options(WHOLE), kconfig.find_places(tree))
    assert made == {
        "CONFIG_X86": "y", "CONFIG_64BIT": "y", "CONFIG_X86_64": "y",
        "CONFIG_LOCALVERSION": '"-mine"', "CONFIG_PREEMPT_NONE": "y",
        "CONFIG_PREEMPT_VOLUNTARY": "n", "CONFIG_SLUB": "y",
        "CONFIG_SMP": "y", "CONFIG_KERNEL_XZ": "y", "CONFIG_NET": "n", "CONFIG_DRM": "n",
        "CONFIG_EXT4_FS": "n", "CONFIG_XENFS": "n", "CONFIG_MODULES": "n",
    }  # fmt: skip


def test_of_a_choice_what_stands_above_wins() -> None:
    below = {"CONFIG_KERNEL_XZ": "y", "CONFIG_HZ_100": "y"}
    choices = [{"CONFIG_KERNEL_XZ", "CONFIG_KERNEL_GZIP"}, {"CONFIG_HZ_100", "CONFIG_HZ_250"}]
    trimming.settle(choices, below, {"CONFIG_KERNEL_GZIP": "y"})
    assert below == {"CONFIG_HZ_100": "y"}


def test_the_lab_comes_on_top_but_how_it_gives_way_is_the_users(
    tree: Path, config: Path, cache: Path
) -> None:
    said: list[str] = []
    kernel = build(specify("k", tree, None, config=config), said.append)
    assert kernel.config is not None
    made = kconfig.read_config(kernel.config.read_text())
    assert made["CONFIG_HVC_XEN"] == made["CONFIG_XENFS"] == made["CONFIG_KERNEL_GZIP"] == "y"
    assert made["CONFIG_LOCALVERSION"] == '"-mine"'
    assert made["CONFIG_PREEMPT_NONE"] == "y"
    for gone in ("PREEMPT_VOLUNTARY", "SLUB_DEBUG", "KERNEL_XZ", "NET", "DRM", "EXT4_FS"):
        assert f"CONFIG_{gone}" not in made, gone
    notes = [line for line in said if line.startswith("note: ")]
    assert notes == [
        "note: config-3.10: of 14 options that were on, 1 modules and 5 others are off here, "
        "and 1 differ",
        "note: without CONFIG_PREEMPT_VOLUNTARY or CONFIG_PREEMPT the first FPU use gives way "
        "only while memory is short: the bug can hardly show",
    ]
    assert said.index(notes[1]) < next(n for n, line in enumerate(said) if "compiling" in line)
    facts = kernel.provenance["base_config"]
    assert (facts["file"], facts["modules_off"], facts["others_off"]) == (str(config), 1, 5)
    assert kernel.provenance["notes"] == [notes[1].removeprefix("note: ")]
    cut = kernel.image.with_name("cut.config").read_text()
    assert "\n# 1 modules\nCONFIG_EXT4_FS=m\n" in cut
    assert "\nCONFIG_XENFS=m  # here y\n" in cut
    assert len(list(cache.rglob("cut.config"))) == 1


def test_a_fragment_puts_back_what_was_cut(tree: Path, config: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.config"
    more.write_text("CONFIG_NET=y\nCONFIG_PREEMPT_VOLUNTARY=y\nCONFIG_KERNEL_XZ=y\n")
    spec = specify("k", tree, None, fragments=[more], config=config)
    kernel = build(spec, lambda _: None)
    assert kernel.config is not None
    made = kconfig.read_config(kernel.config.read_text())
    assert made["CONFIG_NET"] == made["CONFIG_PREEMPT_VOLUNTARY"] == "y"
    assert "CONFIG_PREEMPT_NONE" not in made
    assert "CONFIG_KERNEL_GZIP" not in made
    assert kernel.provenance["notes"] == [
        "from 2.6.37 to 3.16 SLUB gives way only with CONFIG_SLUB_DEBUG, which is off: the bug "
        "can hardly show"
    ]


def test_another_configuration_is_another_kernel(tree: Path, config: Path) -> None:
    first, plain = specify("k", tree, None, config=config), specify("k", tree, None)
    assert first.key() != plain.key()
    config.write_text(WHOLE + "CONFIG_HZ=100\n")
    assert specify("k", tree, None, config=config).key() != first.key()


def test_a_32_bit_configuration_makes_a_32_bit_kernel(tree: Path, config: Path) -> None:
    def arch() -> str:
        spec = specify("k", tree, None, config=config)
        return next(
            word for word in write_command(spec, Chosen((), (), (), ()), "x") if "ARCH=" in word
        )

    assert arch() == "ARCH=x86_64"
    config.write_text(WHOLE.replace("CONFIG_64BIT=y\nCONFIG_X86_64=y", "CONFIG_X86_32=y"))
    assert arch() == "ARCH=i386"


ON = "CONFIG_PREEMPT_VOLUNTARY=y\nCONFIG_SLUB=y\n"


@pytest.mark.parametrize(
    ("config", "release", "says"),
    [
        (ON, (3, 18, 0), ""),
        (ON, (2, 6, 32), ""),
        (ON, (3, 10, 0), "from 2.6.37 to 3.16 SLUB gives way only with CONFIG_SLUB_DEBUG"),
        (ON + "CONFIG_SLUB_DEBUG=y\n", (3, 10, 0), ""),
        (ON.replace("SLUB", "SLAB"), (3, 10, 0), ""),
        (ON.replace("PREEMPT_VOLUNTARY", "PREEMPT"), (3, 10, 0), ""),
        (ON, (2, 6, 28), "before 2.6.29 SLUB's allocations never give way"),
        ("CONFIG_SLUB=y\n", (3, 18, 0), "gives way only while memory is short"),
        (ON + 'CONFIG_CMDLINE="eagerfpu=on"\n', (3, 18, 0), "an eager kernel has no window"),
        (ON, (4, 4, 0), "does not allocate in #NM"),
        (ON, (6, 1, 0), "no lazy FPU mode since 4.9"),
    ],
)
def test_what_keeps_the_bug_from_showing(
    config: str, release: tuple[int, int, int], says: str
) -> None:
    found = baseconfig.find_hindrances(config, release)
    assert len(found) == bool(says)
    assert says in " ".join(found)


def test_a_config_belongs_to_a_build(tmp_path: Path) -> None:
    KernelConfig(tree=str(tmp_path), config=tmp_path / "config")
    with pytest.raises(ValueError, match="'config' belongs to a 'tree'"):
        KernelConfig(image=tmp_path / "x", config=tmp_path / "config")
