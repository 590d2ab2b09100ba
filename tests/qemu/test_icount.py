"""Deterministic boots: the command lines that make them, and what cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.cells import Cell
from lab.config.load import parse
from lab.qemu import icount as determinism
from lab.qemu import machine
from lab.qemu.binary import Qemu
from lab.qemu.machine import Boot
from lab.supplies.feasible import find_not_deterministic
from lab.trial.assignment import gather_facts

CONFIG = parse("kernels: {old: {image: old.bzImage}}", Path("/x/lab.yaml"))
QEMU = Qemu(Path("/qemu"), "7.2.0", ("native", "dom0", "pv", "pvh", "hvm"), "fake")


def boot(xen: bool = True, icount: int | None = 1) -> Boot:
    return Boot(
        "/q", "tcg", Path("/k/bzImage"), Path("/r/some.cpio"), "panic=1", 1, 256,
        Path("/x/xen") if xen else None, "", icount,
    )  # fmt: skip


def test_the_command_line_fixes_what_could_differ() -> None:
    words = machine.command(machine.portable(boot()), Path("/c"))
    for pair in (
        ("-icount", "shift=1,sleep=off,align=off"),
        ("-rtc", "base=2020-01-01,clock=vm"),
        ("-seed", "1"),
        ("-cpu", "max,-smap,-smep,-x2apic,-tsc-deadline"),
        ("-initrd", "kernel console=hvc0 panic=1,ramdisk"),
    ):
        assert words[words.index(pair[0]) + 1] == pair[1]
    assert "x2apic=0" in words[words.index("-append") + 1].split()


def test_a_free_running_machine_has_none_of_it() -> None:
    words = machine.command(boot(icount=None), Path("/c"))
    assert not {"-icount", "-rtc", "-seed"} & set(words)
    assert "x2apic=0" not in words[words.index("-append") + 1]


def test_staged_files_have_fixed_names(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"kernel")
    wanted = Boot("/q", "tcg", tmp_path / "image", tmp_path / "image", "", 1, 64, icount=1)
    with machine.staged(wanted) as (again, folder):
        assert (folder / again.kernel).read_bytes() == b"kernel"
        assert {path.name for path in folder.iterdir()} == {"kernel", "ramdisk"}
    assert not folder.exists()


def test_the_nonce_is_fixed_by_cell_and_seed() -> None:
    exact = determinism.configured(CONFIG)
    cell = Cell("dom0-old", "dom0", "old")
    assert gather_facts(cell, 1, exact).nonce == gather_facts(cell, 1, exact).nonce
    assert gather_facts(cell, 1, exact).nonce != gather_facts(cell, 2, exact).nonce
    assert gather_facts(cell, 1, CONFIG).nonce != gather_facts(cell, 1, CONFIG).nonce


def test_deterministic_means_emulation() -> None:
    exact = determinism.configured(CONFIG, 3)
    assert (exact.host.accelerator, exact.icount) == ("tcg", 3)
    assert CONFIG.icount is None


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (Cell("pv-old", "pv", "old"), "pv guests need a nested Xen host"),
        (Cell("dom0-old~2vcpu", "dom0", "old", vcpus=2), "it has 2 processors"),
        (Cell("native-old", "native", "old"), None),
    ],
)
def test_what_cannot_be_deterministic_is_said(cell: Cell, why: str | None) -> None:
    said = determinism.impossible(cell)
    assert said is None if why is None else said is not None and said.startswith(why)
    left_out = find_not_deterministic(determinism.configured(CONFIG), [cell])
    assert list(left_out) == ([cell.id] if why else [])
    assert find_not_deterministic(CONFIG, [cell]) == {}
