# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of guest and of host, and what a cell may be expected to show."""

from __future__ import annotations

from typing import Literal

GuestKind = Literal["native", "dom0", "pv", "pvh", "hvm"]
GUEST_KINDS: tuple[GuestKind, ...] = ("native", "dom0", "pv", "pvh", "hvm")
ON_XEN: tuple[GuestKind, ...] = ("pv", "pvh", "hvm")  # guests of a Xen host
# Where cells run; boards are machines with power, console and a way to boot.
HostKind = Literal["nested", "real", "board"]
# any: every verdict is a measurement and passes, except a crash or a fault of the lab.
Expectation = Literal["corrupts", "clean", "vacuous", "any"]
