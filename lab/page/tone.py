# SPDX-License-Identifier: GPL-2.0-or-later
"""Verdicts as a reader sees them: a sign, a word and a colour, none of which stands alone. Pure."""

from __future__ import annotations

from lab.verdict.severity import Verdict

# What is expected is good, whatever it is. Of what is not, some says nothing about the kernel.
GOOD, BAD, WARN, NONE = "good", "bad", "warn", "none"
SIGNS = {
    Verdict.CLEAN: "✓", Verdict.CORRUPTS: "✗", Verdict.CRASHED: "!", Verdict.LAB_ERROR: "?",
    Verdict.VACUOUS: "∅",
}  # fmt: skip
IMPOSSIBLE = "-"
_UNCLEAR = (Verdict.LAB_ERROR, Verdict.VACUOUS)


def find_tone(verdict: Verdict | None, as_expected: bool) -> str:
    """A class of the style sheet."""
    if verdict is None:
        return NONE
    if as_expected:
        return GOOD
    return WARN if verdict in _UNCLEAR else BAD


def find_sign(verdict: Verdict | None) -> str:
    """One character, whatever was expected."""
    return IMPOSSIBLE if verdict is None else SIGNS[verdict]


def name_verdict(verdict: Verdict | None) -> str:
    """The verdict in a word."""
    return "impossible" if verdict is None else verdict.value
