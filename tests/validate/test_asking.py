# SPDX-License-Identifier: GPL-2.0-or-later
"""What two Xens that were asked directly decide about a patch, and what they do not."""

from __future__ import annotations

import pytest

from lab.probe.judge import Finding, Outcome
from lab.validate import decision
from lab.validate.asking import decide, describe
from lab.validate.page import page
from lab.validate.request import AFTER, BEFORE


def find(before: Outcome, after: Outcome) -> dict[str, Finding]:
    return {BEFORE: Finding("dom0", before, "b"), AFTER: Finding("dom0", after, "a")}


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (Outcome.CLEAR, Outcome.CLEAR, decision.Outcome.DOES_NOT_FIX),
        (Outcome.SET, Outcome.SET, decision.Outcome.VACUOUS),
        (Outcome.SET, Outcome.CLEAR, decision.Outcome.VACUOUS),
        (Outcome.CLEAR, Outcome.SET, None),
    ],
)
def test_two_whole_answers_decide_unless_the_patch_changes_them(
    before: Outcome, after: Outcome, outcome: decision.Outcome | None
) -> None:
    decided = decide(find(before, after))
    assert (decided.outcome if decided else None) is outcome


@pytest.mark.parametrize(
    "outcome", [Outcome.MIXED, Outcome.CRASHED, Outcome.LAB_ERROR, Outcome.VACUOUS]
)
def test_no_other_answer_decides(outcome: Outcome) -> None:
    for other in Outcome:
        assert decide(find(outcome, other)) is None
        assert decide(find(other, outcome)) is None


def test_without_a_patch_to_xen_nothing_is_decided() -> None:
    assert decide({}) is None


def test_the_page_does_not_say_that_registers_leak_where_no_kernel_was_booted() -> None:
    found = find(Outcome.CLEAR, Outcome.CLEAR)
    decided = decide(found)
    assert decided is not None
    text = page("a patch", decided, [], describe(found), (), "lab validate")
    assert text.startswith("DOES NOT FIX: a patch\n\nXen's interface is as it was")
    assert "registers still leak" not in text
    assert "unpatched Xen, asked directly: b" in text
