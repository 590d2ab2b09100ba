"""The kinds of guest, and what a cell may be expected to show."""

from __future__ import annotations

from typing import Literal

GuestKind = Literal["native", "dom0", "pv", "pvh", "hvm"]
GUEST_KINDS: tuple[GuestKind, ...] = ("native", "dom0", "pv", "pvh", "hvm")
# any: whatever comes out is a measurement, not a mistake; only a crash or our fault is.
Expectation = Literal["corrupts", "clean", "vacuous", "any"]
