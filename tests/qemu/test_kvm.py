# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's words about KVM, as people met them, and the device as it can be found."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab.console.watch import Ending
from lab.qemu import kvm, machine
from lab.system.deadline import Deadline

ASSERTION = (
    "{0}: ../target/i386/kvm/kvm.c:2753: kvm_buf_set_msrs: Assertion "
    "`ret == cpu->kvm_msr_buf->nmsrs' failed.\n"
)
ENTRY_FAILED = "KVM: entry failed, hardware error 0x80000021\n"


@pytest.mark.parametrize(
    ("said", "feature"),
    [
        ("qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\n", "arch-capabilities"),
        ("qemu-system-x86_64: error: failed to set MSR 0x345 to 0x2000\n", "pdcm"),
        ("qemu-kvm: error: failed to set MSR 0x48e to 0xfff9fffe04006172\n", "vmx"),
        ("qemu-system-x86_64: error: failed to set MSR 0x48b to 0x11582e00000000\n", "vmx"),
        ("qemu-system-x86_64: error: failed to set MSR 0x38d to 0x0\n", ""),  # no feature's own
    ],
)
def test_a_register_that_kvm_refuses_names_its_feature(said: str, feature: str) -> None:
    assert kvm.find_feature_to_drop(said + ASSERTION.format("qemu")) == feature
    assert kvm.find_failure(said) == ""


@pytest.mark.parametrize(
    "said",
    [
        "Could not access KVM kernel module: No such device\n"
        "qemu-system-x86_64: failed to initialize kvm: No such device\n",
        "kvm version too old\nqemu-system-x86_64: failed to initialize kvm: Invalid argument\n",
        "qemu-system-x86_64: warning: host doesn't support requested feature: MSR(10AH)\n",
        "",
    ],
)
def test_other_complaints_name_none(said: str) -> None:
    assert kvm.find_feature_to_drop(said) == ""
    assert kvm.find_failure(said) == ""


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "KVM internal error. Suberror: 1\nextra data[0]: 0x1\n",
            "KVM internal error. Suberror: 1",
        ),
        (ENTRY_FAILED + "\nIf you're running a guest on an Intel machine\n", ENTRY_FAILED.strip()),
        ("error: kvm run failed Bad address\nEAX=00000000\n", "error: kvm run failed Bad address"),
    ],
)
def test_a_failure_under_a_running_machine(said: str, line: str) -> None:
    assert kvm.find_failure(f"qemu: warning: x\n{said}") == line


def test_the_device_as_it_can_be_found(tmp_path: Path) -> None:
    assert kvm.why_closed(tmp_path / "none") == f"there is no {tmp_path}/none"
    file = tmp_path / "file"
    file.touch()
    assert kvm.why_closed(file) == f"{file} is not KVM's device"
    assert kvm.why_closed(Path("/dev/null")) == "/dev/null is not KVM's device"
    assert "cannot be used" in kvm.why_closed(tmp_path)


@pytest.mark.parametrize(
    ("module", "value", "said"),
    [
        ("kvm_intel", "Y", "kvm_intel nested=1"), ("kvm_intel", "N", "kvm_intel nested=0"),
        ("kvm_amd", "1", "kvm_amd nested=1"), ("kvm_amd", "0", "kvm_amd nested=0"),
        ("kvm", "1", ""),
    ],
)  # fmt: skip
def test_what_the_module_says_of_nesting(
    tmp_path: Path, module: str, value: str, said: str
) -> None:
    folder = tmp_path / module / "parameters"
    folder.mkdir(parents=True)
    (folder / "nested").write_text(f"{value}\n")
    assert kvm.read_nested(tmp_path) == said


def test_a_machine_that_kvm_stopped_is_the_labs_fault_and_seen_at_once(tmp_path: Path) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text(f"#!/bin/sh\necho '{ENTRY_FAILED.strip()}' >&2\nexec sleep 100\n")
    qemu.chmod(0o755)
    ending = machine.run(
        [str(qemu)], tmp_path / "console", Deadline(60), lambda _look: None, threading.Event()
    )
    assert ending == Ending("lab_error", f"KVM failed: {ENTRY_FAILED.strip()}", ending.seconds)
    assert ending.seconds < 20
