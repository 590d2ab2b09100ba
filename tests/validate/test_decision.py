# SPDX-License-Identifier: GPL-2.0-or-later
"""A patch's outcome, over the whole table of verdicts without and with it."""

from __future__ import annotations

from itertools import product

import pytest

from lab.validate.decision import Outcome, Pair, broken, decide
from lab.verdict.severity import Verdict

CLEAN, VACUOUS, LAB_ERROR = Verdict.CLEAN, Verdict.VACUOUS, Verdict.LAB_ERROR
CRASHED, CORRUPTS = Verdict.CRASHED, Verdict.CORRUPTS
ALL = [*Verdict, None]
F, D, B = Outcome.FIXES, Outcome.DOES_NOT_FIX, Outcome.BREAKS
V, L = Outcome.VACUOUS, Outcome.LAB_ERROR

# One pv cell. Rows: without the patch; columns: with it, in the order of Verdict and impossible.
ONE = {
    CLEAN:     [V, V, L, V, V, V],
    VACUOUS:   [V, V, L, V, V, V],
    LAB_ERROR: [L, L, L, L, L, L],
    CRASHED:   [V, V, L, V, V, V],
    CORRUPTS:  [F, V, L, B, D, B],
    None:      [V, V, L, V, V, V],
}  # fmt: skip

# A watched cell (native) beside a pv cell that the patch fixes.
WATCHED = {
    CLEAN:     [F, V, L, B, B, B],
    VACUOUS:   [F, F, L, B, D, B],
    LAB_ERROR: [L, L, L, L, L, L],
    CRASHED:   [F, F, L, F, D, F],
    CORRUPTS:  [F, V, L, B, D, B],
    None:      [F, F, L, F, D, F],
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), list(product(ALL, ALL)))
def test_one_cell(before: Verdict | None, after: Verdict | None) -> None:
    for kind in ("pv", "dom0", "pv~2vcpu"):
        assert decide([Pair(kind, before, after)]).outcome is ONE[before][ALL.index(after)]
    for kind in ("native", "pvh", "hvm~2vcpu"):
        wanted = L if LAB_ERROR in (before, after) else V
        assert decide([Pair(kind, before, after)]).outcome is wanted


@pytest.mark.parametrize(("before", "after"), list(product(ALL, ALL)))
def test_a_watched_cell_beside_a_fixed_one(before: Verdict | None, after: Verdict | None) -> None:
    pairs = [Pair("pv", CORRUPTS, CLEAN), Pair("native", before, after)]
    wanted = WATCHED[before][ALL.index(after)]
    assert decide(pairs).outcome is wanted
    assert decide(pairs[::-1]).outcome is wanted


def test_two_cells_never_look_better_than_either() -> None:
    """Over all 1,296 pairs of pv and dom0 cells."""
    for values in product(ALL, repeat=4):
        pairs = [Pair("pv", *values[:2]), Pair("dom0", *values[2:])]
        outcome = decide(pairs).outcome
        if outcome is F:
            assert CORRUPTS in (values[0], values[2])
            assert all(after not in (CORRUPTS, LAB_ERROR) for after in (values[1], values[3]))
            assert not any(broken(pair) for pair in pairs)
            shown = [(p.before, p.after) for p in pairs if p.before in (CORRUPTS, CLEAN)]
            assert all(after is CLEAN for _, after in shown)
        if outcome in (B, D):
            assert CORRUPTS in (values[0], values[2])
        if LAB_ERROR in values:
            assert outcome is L


def test_the_reason_names_the_cells() -> None:
    fixed = decide([Pair("pv", CORRUPTS, CLEAN), Pair("dom0", CORRUPTS, CLEAN),
                    Pair("native", CLEAN, CLEAN), Pair("pvh", None, None)])  # fmt: skip
    assert fixed.reason == (
        "corruption in pv and dom0 without the patch, none with it; native as clean as before"
    )
    crash = decide([Pair("pv", CORRUPTS, CLEAN), Pair("hvm", CLEAN, CRASHED)])
    assert crash.reason == "hvm was CLEAN, is CRASHED"
    assert decide([Pair("pv", CORRUPTS, CORRUPTS)]).reason == "corruption in pv with the patch"
    assert "nothing to fix" in decide([Pair("pv", CLEAN, CLEAN)]).reason
    assert "with the patch pv showed nothing" in decide([Pair("pv", CORRUPTS, VACUOUS)]).reason
    assert decide([]).outcome is V


def test_exit_codes_are_those_of_the_lab() -> None:
    assert {o.value: o.exit_code for o in Outcome} == {
        "FIXES": 0, "VACUOUS": 3, "LAB_ERROR": 4, "BREAKS": 9, "DOES NOT FIX": 6,
    }  # fmt: skip
    with pytest.raises(TypeError):
        bool(Outcome.FIXES)


def test_what_a_patch_did_in_a_cell() -> None:
    effects = {
        (CORRUPTS, CLEAN): "fixed", (CORRUPTS, CORRUPTS): "still corrupts",
        (CLEAN, CLEAN): "still clean", (CLEAN, CORRUPTS): "broken", (CLEAN, CRASHED): "broken",
        (CORRUPTS, CRASHED): "broken", (VACUOUS, CRASHED): "broken", (CLEAN, None): "broken",
        (None, None): "impossible", (VACUOUS, CLEAN): "clean", (VACUOUS, CORRUPTS): "corrupts",
        (CLEAN, VACUOUS): "not shown", (CRASHED, CRASHED): "crashes as before",
        (CLEAN, LAB_ERROR): "not known: the lab failed",
    }  # fmt: skip
    for (before, after), words in effects.items():
        assert Pair("pv", before, after).effect == words
