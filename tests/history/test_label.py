# SPDX-License-Identifier: GPL-2.0-or-later
"""A known bug's label: carried on while the failure is the same."""

from __future__ import annotations

import pytest

from lab.history.label import Labelled, carry, kind_of
from lab.verdict.severity import Verdict

BUG = "xen bug 40"
WORDS = {
    "corrupts": (Verdict.CORRUPTS, "9 failed checks in 100 windows; first: victim mm0"),
    "corrupts2": (Verdict.CORRUPTS, "50 failed checks in 70 windows; first: opener st3"),
    "clean": (Verdict.CLEAN, "0 corruptions"),
    "panic": (Verdict.CRASHED, "kernel panic at 0xffffffff81000000 after 12.5 s"),
    "panic2": (Verdict.CRASHED, "kernel panic at 0xffffffff82345678 after 7 s"),
    "silent": (Verdict.CRASHED, "silent: the program never started (stopped after 40 s)"),
    "few": (Verdict.VACUOUS, "too little exposure: 12 windows, 100 wanted"),
    "few2": (Verdict.VACUOUS, "too little exposure: 71 windows, 100 wanted"),
    "ill": (Verdict.LAB_ERROR, "the disk is full"),
    "impossible": (None, "no PV support in this kernel"),
}


def labels(story: str) -> str:
    """A word for each night, ``+`` where lab.yaml has the label; returns a mark for each."""
    results = []
    for word in story.split():
        verdict, reason = WORDS[word.rstrip("+")]
        results.append(Labelled(verdict, reason, BUG if word.endswith("+") else None))
    return "".join("x" if label == BUG else "." for label in carry(results))


@pytest.mark.parametrize(
    ("story", "marks"),
    [
        ("corrupts corrupts+ corrupts2+ corrupts+", ".xxx"),
        ("corrupts+ corrupts+ clean+ corrupts+", "xx.."),  # it was gone: it is news
        ("corrupts+ ill+ impossible+ few+ corrupts2+", "x...x"),  # those say nothing
        ("corrupts panic+ corrupts+", "..."),  # labelled for the corruption, and it is not that
        ("panic panic+ panic2+ silent+ panic+", ".xx.."),
        ("clean+ clean+ corrupts+ corrupts+", "..xx"),  # written before the first failure
        ("few few+ few2+ corrupts+ few+", ".xx.."),  # for a cell that proves nothing
        ("corrupts few few+ corrupts+", "...x"),  # the corruption is the failure, not the rest
        ("corrupts clean corrupts2 clean panic+ panic2+", "....xx"),
        ("corrupts+ corrupts corrupts+", "x.x"),  # taken out and written again
        ("corrupts+ clean+ corrupts corrupts+", "x..x"),  # written again, for what came back
        ("ill+ corrupts+", ".x"),
    ],
)
def test_carried_and_dropped(story: str, marks: str) -> None:
    assert labels(story) == marks


def test_another_label_is_for_the_last_failure() -> None:
    verdict, reason = WORDS["panic"]
    results = [Labelled(verdict, reason, text) for text in ("old", "old", "new")]
    assert carry(results) == ["old", "old", "new"]


def test_a_reason_is_of_one_kind_whatever_its_figures() -> None:
    assert kind_of(*WORDS["panic"]) == kind_of(*WORDS["panic2"])
    assert kind_of(*WORDS["panic"]) != kind_of(*WORDS["silent"])
    assert kind_of(*WORDS["corrupts"]) == kind_of(*WORDS["corrupts2"])
