# SPDX-License-Identifier: GPL-2.0-or-later
"""Claims against what cells showed: the whole table, and its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.cells import Cell, cells
from lab.config.claim import ClaimConfig, Showing, measured_by
from lab.config.kernel import supply
from lab.config.load import load, parse, plan_file
from lab.errors import UserError
from lab.report.claims import write_page
from lab.verdict.cell import CellVerdict
from lab.verdict.claims import FAILS, HOLDS, OPEN, decide
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict


def cell(name: str, verdict: Verdict | None, hits: int = 0, boots: int = 5) -> CellVerdict:
    kind = Verdict.CORRUPTS if hits else Verdict.CLEAN
    trials = tuple(TrialVerdict(kind, "", 1000, 1000, hits, hits) for _ in range(boots))
    return CellVerdict(Cell(name, "dom0", "x"), verdict, "as seen", trials)


def claim(show: Showing, *names: str, than: str | None = None) -> ClaimConfig:
    return ClaimConfig(says="It is so.", source="us", cells=list(names), show=show, than=than)


@pytest.mark.parametrize(
    ("show", "verdicts", "wanted"),
    [
        ("corrupts", [Verdict.CORRUPTS, Verdict.CORRUPTS], HOLDS),
        ("corrupts", [Verdict.CORRUPTS, Verdict.CLEAN], FAILS),
        ("corrupts", [Verdict.CORRUPTS, None], OPEN),
        ("corrupts", [Verdict.CORRUPTS, Verdict.LAB_ERROR], OPEN),
        ("corrupts", [Verdict.CORRUPTS, Verdict.VACUOUS], OPEN),
        ("corrupts", [Verdict.CRASHED], OPEN),
        ("corrupts", [Verdict.CRASHED, Verdict.CLEAN], FAILS),
        ("clean", [Verdict.CLEAN], HOLDS),
        ("clean", [Verdict.CLEAN, Verdict.CORRUPTS], FAILS),
        ("clean", [Verdict.CLEAN, Verdict.VACUOUS], OPEN),
        ("clean", [Verdict.CLEAN, Verdict.CRASHED], OPEN),
        ("clean", [None], OPEN),
        ("vacuous", [Verdict.VACUOUS], HOLDS),
        ("vacuous", [Verdict.CRASHED], OPEN),
        ("vacuous", [Verdict.CLEAN], FAILS),
        ("vacuous", [Verdict.CORRUPTS], FAILS),
    ],
)
def test_plain_claims(show: Showing, verdicts: list[Verdict | None], wanted: str) -> None:
    made = [cell(f"a{n}", verdict) for n, verdict in enumerate(verdicts)]
    assert decide("c", claim(show, "a*"), made).verdict == wanted


@pytest.mark.parametrize(
    ("show", "hits", "wanted"),
    [
        ("fewer", 10, HOLDS), ("fewer", 100, OPEN), ("fewer", 600, FAILS), ("fewer", 0, HOLDS),
        ("more", 600, HOLDS), ("more", 100, OPEN), ("more", 10, FAILS),
        ("alike", 100, HOLDS), ("alike", 10, FAILS), ("alike", 600, FAILS),
    ],
)  # fmt: skip
def test_rates_are_compared_by_their_bounds(show: Showing, hits: int, wanted: str) -> None:
    made = [cell("base", Verdict.CORRUPTS, 100), cell("a", Verdict.CORRUPTS, hits)]
    found = decide("c", claim(show, "a", than="base"), made)
    assert found.verdict == wanted
    assert "of windows hit" in found.seen[0]


def test_a_rate_that_is_not_known_leaves_it_open() -> None:
    made = [cell("base", None, boots=0), cell("a", Verdict.CORRUPTS, 5)]
    assert decide("c", claim("fewer", "a", than="base"), made).verdict == OPEN
    assert decide("c", claim("fewer", "b", than="base"), made).verdict == OPEN


@pytest.mark.parametrize(
    ("tallies", "wanted"),
    [(["90/3"], HOLDS), (["5000/0"], OPEN), (["90/0"], OPEN), (["900/0", "900/1"], HOLDS),
     (["x", ""], OPEN)],
)  # fmt: skip
def test_only_the_checks_in_question_count(tallies: list[str], wanted: str) -> None:
    trials = tuple(
        TrialVerdict(Verdict.CORRUPTS, "", 9, 9, 9, 9, end={"halted": tally}) for tally in tallies
    )
    made = CellVerdict(Cell("a", "dom0", "x"), Verdict.CORRUPTS, "", trials)
    asked = ClaimConfig(says="So.", source="us", cells=["a"], show="corrupts", tally="halted")
    assert decide("c", asked, [made]).verdict == wanted


def test_a_comparison_without_its_other_side_is_refused() -> None:
    with pytest.raises(ValueError, match="'than' names a cell exactly when 'show' compares"):
        claim("fewer", "a")
    with pytest.raises(ValueError, match="'than' names a cell exactly when 'show' compares"):
        claim("clean", "a", than="b")


def test_the_page_fits_a_mail_and_shows_no_control_characters() -> None:
    bad = CellVerdict(Cell("a", "dom0", "x"), Verdict.CORRUPTS, "mm0\x1b[31m held " * 20)
    outcome = decide("c", claim("corrupts", "a"), [bad])
    text = write_page("Claims", {"Xen": "4.17"}, [outcome], "lab run --plan seed")
    assert max(len(line) for line in text.splitlines()) <= 76
    assert "\x1b" not in text
    assert "1. It is so. [us]\n   HOLDS\n" in text


@pytest.mark.parametrize("plan", ["seed", "vcpus", "two-fixes"])
def test_a_plan_is_sound_and_every_claim_has_its_cells(plan: str) -> None:
    config = load(plan_file(plan))
    made = cells(config)
    names = {c.id for c in made}
    for name, tried in config.claims.items():
        assert decide(name, tried, [cell(n, None) for n in names]).seen[0].count("none of") == 0
        assert tried.than is None or tried.than in names
    assert all(c.expect for c in made)


def test_what_a_claim_counts_boots_on_at_a_corruption() -> None:
    config = load(plan_file("seed"))
    assert measured_by(config.claims, "dom0-control-bad~full")
    assert not measured_by(config.claims, "pv-control-bad")


def test_a_kernel_is_supplied_by_name(tmp_path: Path) -> None:
    config = parse("kernels: {old: {supplied: any}}", tmp_path / "lab.yaml")
    image = tmp_path / "bzImage"
    with pytest.raises(UserError, match="with a file that exists"):
        supply(config.kernels, [f"old={image}"])
    image.touch()
    assert supply(config.kernels, [f"old={image}"])["old"].image == image
    with pytest.raises(UserError, match="there is no kernel 'new'"):
        supply(config.kernels, [f"new={image}"])
    with pytest.raises(UserError, match="there is no such plan"):
        plan_file("sed")
