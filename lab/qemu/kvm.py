# SPDX-License-Identifier: GPL-2.0-or-later
"""KVM as this machine has it: the device, what its kernel allows, and what QEMU prints about it.

What is read here is QEMU's own wording, so each text is quoted where it is looked for.
"""

from __future__ import annotations

import errno
import fcntl
import re
from pathlib import Path

DEVICE = Path("/dev/kvm")
_MODULES = Path("/sys/module")
_GET_API_VERSION = 0xAE00  # linux/kvm.h, and the answer has been 12 since Linux 2.6.22
_API_VERSION = 12
# QEMU ends with "error: failed to set MSR 0x10a to 0x69" and an assertion of kvm_buf_set_msrs (or
# kvm_put_msrs) when KVM offers a feature and refuses the register that comes with it: reported
# from virtual machines, such as CI runners, that have KVM of their own. Without the feature QEMU
# writes 0 to the register, or nothing. Numbers: Linux, asm/msr-index.h.
_MSR = re.compile(r"failed to set MSR (0x[0-9a-f]+)")
_FEATURES = {
    0x10A: "arch-capabilities",  # IA32_ARCH_CAPABILITIES
    0x345: "pdcm",  # IA32_PERF_CAPABILITIES
    **dict.fromkeys(range(0x480, 0x494), "vmx"),  # IA32_VMX_BASIC and those after it
}
# After these QEMU stays, with a machine that stands still.
_FAILURE = re.compile(
    r"KVM internal error\. .*|KVM: entry failed, hardware error .*|error: kvm run failed .*"
)


def why_closed(device: Path = DEVICE) -> str:
    """Why the device is of no use to this user, one phrase; empty when KVM answers there."""
    try:
        with device.open("r+b", buffering=0) as file:
            if fcntl.ioctl(file, _GET_API_VERSION) == _API_VERSION:
                return ""
    except FileNotFoundError:
        return f"there is no {device}"
    except PermissionError:
        return f"{device} is not open to this user (its group is {_group(device)})"
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            return f"no kernel module stands behind {device} (kvm_intel or kvm_amd is not loaded)"
        if error.errno != errno.ENOTTY:
            return f"{device} cannot be used ({error.strerror})"
    return f"{device} is not KVM's device"


def find_feature_to_drop(errors: str) -> str:
    """The CPU feature whose register KVM refuses, from what QEMU printed; empty for none: pure."""
    said = _MSR.search(errors)
    return _FEATURES.get(int(said[1], 16), "") if said else ""


def find_failure(errors: str) -> str:
    """The line by which QEMU says that KVM failed under a running machine; empty: pure."""
    said = _FAILURE.search(errors)
    return said[0].strip() if said else ""


def read_nested(modules: Path = _MODULES) -> str:
    """The setting that lets guests nest, such as ``kvm_amd nested=1``; empty where unknown."""
    for name in ("kvm_intel", "kvm_amd"):
        file = modules / name / "parameters" / "nested"
        if file.is_file():
            return f"{name} nested={int(file.read_text().strip() in ('1', 'Y'))}"
    return ""


def _group(device: Path) -> str:
    """A container often has no name for it."""
    try:
        return device.group()
    except KeyError:
        return str(device.stat().st_gid)
