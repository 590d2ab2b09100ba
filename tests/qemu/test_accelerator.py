# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.config.kinds import GUEST_KINDS
from lab.errors import LabError, UserError
from lab.qemu import accelerator as accel
from lab.qemu import kvm
from lab.qemu.accelerator import Accel, Proof
from lab.qemu.binary import Qemu, find
from lab.xen import hypervisor as xen_images
from lab.xen.hypervisor import Xen

QEMU = Qemu(Path("/usr/bin/qemu-system-x86_64"), "7.2.22", GUEST_KINDS, "a test")
BOOTED = "(XEN) HVM: VMX enabled\n(XEN) ELF: not an ELF binary\n(XEN) Panic on CPU 0:\n"
BROKEN = "KVM internal error. Suberror: 1\nextra data[0]: 0x1\nemulation failure\n"


def test_a_panic_about_dom0_is_the_proof() -> None:
    proof = accel.judge(BOOTED, "", ended=False, seconds=1.5)
    assert proof == Proof(True, "VMX", "Xen booted", 1.5)
    without = accel.judge("(XEN) Could not construct domain 0\n", "", ended=False, seconds=1.0)
    assert without.works
    assert without.hvm == ""


def test_a_kvm_that_dies_at_xens_first_instructions_does_not_count() -> None:
    proof = accel.judge("", BROKEN, ended=False, seconds=0.5)
    assert not proof.works
    assert proof.says == "KVM internal error. Suberror: 1, before its first line"


def test_silence_says_where_it_stopped() -> None:
    proof = accel.judge("(XEN) one\n(XEN) two\n", "", ended=False, seconds=20.0)
    assert proof.says == "silent for 20 s after '(XEN) two'"
    assert accel.judge("", "", ended=True, seconds=0.2).says == "QEMU ended before its first line"


def test_the_command_line_doubles_commas(tmp_path: Path) -> None:
    words = accel.command(QEMU.path, "tcg", Path("/x"), Path("/a,b"), tmp_path / "c,d")
    assert "/a,,b" in words
    assert f"file,id=console,path={tmp_path}/c,,d" in words
    assert words[words.index("-cpu") + 1].startswith("max")
    words = accel.command(QEMU.path, "kvm", Path("/x"), Path("/m"), tmp_path / "c")
    assert words[words.index("-cpu") + 1] == "host"


def test_a_refused_register_names_the_feature_and_a_warning_is_not_the_reason() -> None:
    errors = (
        "qemu-system-x86_64: warning: host doesn't support requested feature: CPUID[eax=0dh]\n"
        "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\n"
        "qemu-system-x86_64: ../target/i386/kvm/kvm.c:3870: kvm_buf_set_msrs: Assertion "
        "`ret == cpu->kvm_msr_buf->nmsrs' failed.\n"
    )
    proof = accel.judge("", errors, ended=True, seconds=0.2)
    assert proof.refused == "arch-capabilities"
    assert proof.says.startswith("qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69")


@pytest.mark.parametrize(
    ("proof", "setting", "wanted"),
    [
        (
            Proof(True, "VMX", "Xen booted", 1.0), "kvm_intel nested=1",
            Accel("kvm", "Xen was seen to boot under it, with nested VMX", nests=True),
        ),
        (
            Proof(True, "", "Xen booted", 1.0), "kvm_amd nested=0",
            Accel("kvm", "Xen was seen to boot under it, without nesting (kvm_amd nested=0)"),
        ),
        (
            Proof(True, "", "Xen booted", 1.0, ("vmx", "pdcm")), "",
            Accel(
                "kvm",
                "Xen was seen to boot under it, without nesting, and without vmx and pdcm, which "
                "it offers and refuses",
                without=("vmx", "pdcm"),
            ),
        ),
    ],
)  # fmt: skip
def test_what_a_proof_makes_of_kvm(proof: Proof, setting: str, wanted: Accel) -> None:
    assert accel.accept(proof, setting) == wanted


def test_the_processor_is_the_hosts_own_under_kvm_and_without_smap_in_emulation() -> None:
    assert Accel("kvm", "").cpu == "host"
    assert Accel("kvm", "", without=("arch-capabilities",)).cpu == "host,-arch-capabilities"
    assert Accel("tcg", "", without=("arch-capabilities",)).cpu == "max,-smap,-smep"


class Machine:
    """A machine with a /dev/kvm whose proof is given; counts how often it is asked for."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, cache: Path, proof: Proof | LabError
    ) -> None:
        self.asked = 0
        self.proof = proof
        self.refuses: list[str] = []  # features, in the order in which they are complained about
        self.models: list[tuple[str, ...]] = []
        image = cache / "xen"
        image.write_bytes(b"xen")
        monkeypatch.setenv("LAB_CACHE", str(cache))
        monkeypatch.setattr(kvm, "why_closed", lambda: "")
        monkeypatch.setattr(xen_images, "resolve", lambda _config: Xen(image, "xen", "4.17"))
        monkeypatch.setattr(accel, "boot_xen", self.boot)

    def boot(self, *words: object) -> Proof:
        self.asked += 1
        without = words[-1]
        assert isinstance(without, tuple)
        self.models.append(without)
        for feature in self.refuses:
            if feature not in without:
                return Proof(False, "", "failed to set MSR", 0.1, refused=feature)
        if isinstance(self.proof, LabError):
            raise self.proof
        return self.proof


def test_the_proof_is_remembered_until_a_fresh_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(monkeypatch, tmp_path, Proof(True, "VMX", "Xen booted", 1.0))
    assert accel.decide(QEMU).name == "kvm"
    assert accel.decide(QEMU).nests
    assert machine.asked == 1
    machine.proof = Proof(False, "", "silent", 20.0)
    assert accel.decide(QEMU, fresh=True) == Accel(
        "tcg", "Xen does not boot under this KVM: silent"
    )
    assert accel.decide(QEMU).name == "tcg"
    assert machine.asked == 2
    (record,) = (tmp_path / "accel").glob("*.json")
    assert json.loads(record.read_text())["xen"]["version"] == "4.17"


def test_a_feature_that_kvm_refuses_is_left_out_and_that_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(monkeypatch, tmp_path, Proof(True, "VMX", "Xen booted", 1.0))
    machine.refuses = ["arch-capabilities", "pdcm"]
    first = accel.decide(QEMU)
    assert (first.name, first.without) == ("kvm", ("arch-capabilities", "pdcm"))
    assert machine.models == [(), ("arch-capabilities",), ("arch-capabilities", "pdcm")]
    assert accel.decide(QEMU) == first
    assert machine.asked == 3
    (record,) = (tmp_path / "accel").glob("*.json")
    assert json.loads(record.read_text())["cpu"] == "host,-arch-capabilities,-pdcm"


def test_a_kvm_that_refuses_what_was_left_out_already_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    refusal = Proof(False, "", "failed to set MSR 0x10a to 0x69", 0.1, refused="arch-capabilities")
    machine = Machine(monkeypatch, tmp_path, refusal)
    found = accel.decide(QEMU)
    assert found == Accel(
        "tcg", "Xen does not boot under this KVM: failed to set MSR 0x10a to 0x69"
    )
    assert machine.asked == 2


@pytest.mark.parametrize("what", ["nested", "flags"])
def test_another_nesting_or_processor_is_proved_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    machine = Machine(monkeypatch, tmp_path, Proof(True, "", "Xen booted", 1.0))
    accel.decide(QEMU)
    if what == "nested":
        monkeypatch.setattr(kvm, "read_nested", lambda: "kvm_intel nested=1")
    else:
        monkeypatch.setattr(accel, "cpu_flags", lambda: "fpu vmx")
    accel.decide(QEMU)
    assert machine.asked == 2


def test_another_qemu_is_proved_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = Machine(monkeypatch, tmp_path, Proof(True, "", "Xen booted", 1.0))
    accel.decide(QEMU)
    accel.decide(Qemu(QEMU.path, "10.0.2", GUEST_KINDS, "a test"))
    assert machine.asked == 2


def test_what_could_not_be_tried_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(monkeypatch, tmp_path, LabError("disk full"))
    found = accel.decide(QEMU)
    assert found == Accel("tcg", "KVM could not be proved: disk full")
    machine.proof = Proof(True, "SVM", "Xen booted", 1.0)
    assert accel.decide(QEMU).name == "kvm"


def test_asking_for_kvm_that_does_not_work_is_the_users_to_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Machine(monkeypatch, tmp_path, Proof(False, "", "silent", 20.0))
    with pytest.raises(UserError, match=r"host\.accelerator is kvm, but .*silent; auto or tcg"):
        accel.decide(QEMU, "kvm")


def test_no_kvm_and_asked_for_tcg_boot_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(monkeypatch, tmp_path, Proof(True, "", "Xen booted", 1.0))
    assert accel.decide(QEMU, "tcg") == Accel("tcg", "asked for")
    monkeypatch.setattr(kvm, "why_closed", lambda: "there is no /dev/kvm")
    assert accel.decide(QEMU) == Accel("tcg", "there is no /dev/kvm")
    assert machine.asked == 0


def test_a_qemu_that_hangs_is_ended_in_time(tmp_path: Path) -> None:
    slow = tmp_path / "qemu"
    slow.write_text("#!/bin/sh\nexec sleep 100\n")
    slow.chmod(0o755)
    proof = accel.boot_xen(Qemu(slow, "7.2", (), ""), "kvm", Path("/x"), 0.3)
    assert not proof.works
    assert proof.seconds < 5


@pytest.mark.boots
def test_emulation_really_boots_xen() -> None:
    proof = accel.prove(find(), "tcg")
    assert proof.works
    assert proof.hvm == "SVM"
