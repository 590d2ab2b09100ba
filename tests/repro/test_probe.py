# SPDX-License-Identifier: GPL-2.0-or-later
"""The probe's two images: what loaders look for in them, and the one FPU instruction."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest

from tests.helpers.project import PROJECT

REPRO = PROJECT / "repro"
FPU = re.compile(r"%x?y?z?mm\d|%st\b|%st\(|\t(f(?!s:)[a-z0-9]+|emms|v?ldmxcsr|xsave|xrstor)\b")


@pytest.fixture(scope="module")
def images() -> dict[str, Path]:
    subprocess.run(["make", "-s", "-C", str(REPRO), "all"], check=True)
    return {name: REPRO / "build" / f"probe-{name}" for name in ("pv", "bare")}


def dump(program: Path, *words: str) -> str:
    argv = ["objdump", *words, str(program)]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout


def list_notes(program: Path) -> set[int]:
    """The types of the notes for Xen."""
    said = subprocess.run(
        ["objcopy", "-O", "binary", "--only-section=.note.Xen", program, "/dev/stdout"],
        stdout=subprocess.PIPE, check=True,
    ).stdout  # fmt: skip
    found, at = set(), 0
    while at < len(said):
        name, size, kind = struct.unpack_from("<3I", said, at)
        assert said[at + 12 : at + 12 + name] == b"Xen\0"
        found.add(kind)
        at += 12 + name + (size + 3 & ~3)
    return found


def test_xen_finds_what_it_looks_for(images: dict[str, Path]) -> None:
    # Entry, page of hypercalls, interface, guest's system, loader; and a PVH guest's entry.
    assert list_notes(images["pv"]) == {1, 2, 5, 6, 8}
    assert list_notes(images["bare"]) == {18}
    assert images["pv"].read_bytes()[4] == 2  # 64 bit
    assert images["bare"].read_bytes()[4] == 1  # QEMU's multiboot loader takes no other


def test_a_multiboot_loader_finds_its_header(images: dict[str, Path]) -> None:
    head = images["bare"].read_bytes()[:8192]
    at = head.index(struct.pack("<I", 0x1BADB002))
    assert at % 4 == 0
    assert sum(struct.unpack_from("<3I", head, at)) & 0xFFFFFFFF == 0


@pytest.mark.parametrize("name", ["pv", "bare"])
def test_every_fpu_instruction_is_the_probes_own(images: dict[str, Path], name: str) -> None:
    """The compiler put none in: a stray one would trap where no question was asked."""
    lines = dump(images[name], "-d", "--no-show-raw-insn").splitlines()
    used = [line for line in lines if FPU.search(line)]
    assert used
    assert all(re.search(r"\tmovd +%\w+,%mm0", line) for line in used), used
