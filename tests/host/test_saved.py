# SPDX-License-Identifier: GPL-2.0-or-later
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host import saved as savedhost
from lab.host.image import Dom0Image
from lab.host.keys import Keys
from lab.host.plan import HostPlan
from lab.host.saved import SavedHost, find_saved
from lab.host.state import HostFolder
from lab.system import cache


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostPlan:
    monkeypatch.setattr(savedhost, "require_space", lambda *_args: None)
    image = tmp_path / "image"
    image.mkdir()
    for name in ("disk.img", "vmlinuz", "initrd.img", "xen"):
        (image / name).write_text(name)
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text("#!/bin/sh\necho QEMU emulator version 7.2.0\n")
    qemu.chmod(0o755)
    return HostPlan(str(qemu), "tcg", 3072, 2, Dom0Image(image, Keys(tmp_path)))


def state(plan: HostPlan, folder: Path, libvirt: str = "9000000") -> SavedHost:
    return find_saved(plan, "host", HostFolder(folder), libvirt)


def make(saved: SavedHost, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "overlay.qcow2").write_text("layer")
    (folder / "console.log").write_text("booted")
    facts = {"nonce": "n"}
    saved.make(
        folder / "overlay.qcow2", folder / "console.log", facts, lambda p: _write(p, "memory")
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def test_a_state_is_whole_or_absent(plan: HostPlan, tmp_path: Path) -> None:
    saved = state(plan, tmp_path / "host")
    assert not saved.exists()

    def fails(_memory: Path) -> None:
        raise LabError("no")

    (tmp_path / "overlay").touch()
    with pytest.raises(LabError):
        saved.make(tmp_path / "overlay", tmp_path / "console", {"nonce": "n"}, fails)
    assert not saved.exists()
    assert (tmp_path / "overlay").exists()  # the host that still runs writes to it
    make(saved, tmp_path / "host")
    assert saved.exists()
    assert saved.facts() == {"nonce": "n"}
    assert saved.memory.read_text() == "memory"
    assert saved.overlay.read_text() == "layer"
    assert not (tmp_path / "host" / "overlay.qcow2").exists()
    saved.remove()
    assert not saved.exists()


@pytest.mark.parametrize(
    "change",
    ["memory", "vcpus", "xen args", "hypervisor", "kernel", "ramdisk", "disk", "disk replaced",
     "qemu", "libvirt"],
)  # fmt: skip
def test_whatever_it_depends_on_makes_it_another(
    plan: HostPlan, tmp_path: Path, change: str
) -> None:
    image = plan.image.folder
    folder = tmp_path / "host"
    make(state(plan, folder), folder)
    assert state(plan, folder).exists()
    libvirt = "9000000"
    if change == "memory":
        plan = replace(plan, memory_mib=4096)
    elif change == "vcpus":
        plan = replace(plan, vcpus=4)
    elif change == "xen args":
        plan = replace(plan, xen_args="spec-ctrl=no")
    elif change == "hypervisor":
        plan = replace(plan, xen=tmp_path / "image" / "vmlinuz")
    elif change == "disk replaced":  # same size, same time of its last change
        old = (image / "disk.img").stat()
        other = tmp_path / "other"
        other.write_text("disk.IMG")
        os.utime(other, ns=(old.st_atime_ns, old.st_mtime_ns))
        other.replace(image / "disk.img")
    elif change == "qemu":
        Path(plan.qemu).write_text("#!/bin/sh\necho QEMU emulator version 7.2.1\n")
    elif change == "libvirt":
        libvirt = "9000001"
    else:
        name = {"kernel": "vmlinuz", "ramdisk": "initrd.img", "disk": "disk.img"}[change]
        (image / name).write_text("another one")
    assert not state(plan, folder, libvirt).exists()


@pytest.mark.parametrize(
    ("of", "value"),
    [
        ("processor", "another"), ("cpu_flags", "fpu"), ("read_nested", "kvm_amd nested=0"),
        ("platform.release", "6.1.0-99-amd64"),
    ],
)  # fmt: skip
def test_under_kvm_it_depends_on_the_processor_and_its_kernel(
    plan: HostPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str, value: str
) -> None:
    kvm = replace(plan, accelerator="kvm")
    folder = tmp_path / "host"
    for one in (plan, kvm):
        make(state(one, folder), folder)
    assert not state(replace(kvm, without=("pdcm",)), folder).exists()
    monkeypatch.setattr(f"lab.host.saved.{of}", lambda: value)
    assert state(plan, folder).exists()
    assert not state(kvm, folder).exists()


def test_a_state_of_an_interrupted_save_is_not_taken(plan: HostPlan, tmp_path: Path) -> None:
    saved = state(plan, tmp_path / "host")
    cut_off = cache.building(saved.folder)  # never left: its process was killed
    (cut_off.__enter__() / "memory").write_text("half")
    assert not saved.exists()
    make(saved, tmp_path / "host")
    assert saved.memory.read_text() == "memory"


def test_only_the_newest_states_are_kept(plan: HostPlan, tmp_path: Path) -> None:
    states: list[SavedHost] = []
    for number in range(5):
        saved = state(replace(plan, memory_mib=2048 + number), tmp_path / "host")
        make(saved, tmp_path / "host")
        for older in states:
            if older.exists():
                past = older.folder / "facts.json"
                os.utime(past, (past.stat().st_atime - 60, past.stat().st_mtime - 60))
        states.append(saved)
    assert [saved.exists() for saved in states] == [False, False, True, True, True]


def test_a_state_that_does_not_come_back_is_not_made_again(plan: HostPlan, tmp_path: Path) -> None:
    saved = state(plan, tmp_path / "host")
    make(saved, tmp_path / "host")
    assert not saved.refused()
    saved.refuse("did not resume")
    saved.remove()
    assert saved.refused()
    assert state(plan, tmp_path / "host").refused()


def test_unreadable_facts_count_as_missing(plan: HostPlan, tmp_path: Path) -> None:
    saved = state(plan, tmp_path / "host")
    make(saved, tmp_path / "host")
    (saved.folder / "facts.json").write_text("[]")
    assert saved.facts() == {}
