# SPDX-License-Identifier: GPL-2.0-or-later
"""The choice of an emulator: the machine's own where it serves, else a private one."""

from __future__ import annotations

from collections.abc import Callable

from lab.errors import LabError, UserError
from lab.qemu import accelerator, binary, private
from lab.qemu.binary import Qemu


def choose(wanted: str = "auto", report: Callable[[str], None] | None = None) -> Qemu:
    """The QEMU to use: the first of these that can do all guest kinds, else the first of all.

    1. ``$LAB_QEMU``: taken as it is, nothing else is looked at;
    2. the machine's own, when its version emulates all kinds or KVM with nesting works;
    3. a private 7.2, made once in the cache from Debian 12's packages (``lab.qemu.private``).

    ``wanted`` is the accelerator: auto, kvm or tcg. When 3 cannot be made, the machine's own is
    returned with its fewer kinds, and ``why`` says so. ``report`` gets the progress of
    making it, which takes some 15 s and a 60 MB download.
    """
    own = binary.find()
    if own.complete or own.origin == "$LAB_QEMU" or _nests(own, wanted):
        return own
    try:
        path = private.ensure(report or (lambda _state: None))
        return binary.inspect(path, "private")
    except (LabError, UserError) as error:
        why = f"{own.why}; a private QEMU 7.2 could not be made: {error}"
        return Qemu(own.path, own.version, own.kinds, why, own.origin)


def _nests(own: Qemu, wanted: str) -> bool:
    return wanted != "tcg" and accelerator.decide(own).nests
