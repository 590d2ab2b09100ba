# SPDX-License-Identifier: GPL-2.0-or-later
"""The driver of tests/series.py without a boot: what a series should show, and what is kept."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.config.cells import Cell, cells, control_of
from lab.config.lab import LabConfig
from lab.console.release import read_release
from lab.errors import UserError
from lab.verdict.cell import CellVerdict
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from tests.helpers.kernels import MAKEFILE
from tests.series import (
    KINDS,
    Bench,
    Outcome,
    Shown,
    Tree,
    list_kinds,
    make_config,
    make_shown,
    needs_slab,
    note_cells,
    read_trees,
    write_table,
)


def expectations(version: str, patch: str | None = None) -> dict[str, str | None]:
    """By cell: what a series of this version is expected to show."""
    release = read_release(version)
    made = make_config(Tree(version, "/tree", "HEAD", patch), release, list_kinds(release), [])
    return {cell.id: cell.expect for cell in cells(LabConfig.model_validate(made))}


def test_an_affected_kernel_corrupts_as_a_pv_guest_and_nowhere_else() -> None:
    assert expectations("3.16") == {
        "native-3.16": "clean", "dom0-3.16": "corrupts", "pv-3.16": "corrupts", "hvm-3.16": "clean",
    }  # fmt: skip
    assert expectations("4.1.52")["dom0-4.1.52"] == "corrupts"
    assert expectations("2.6.32") == {
        "native-2.6.32": "clean", "pv-2.6.32": "corrupts", "hvm-2.6.32": "clean",
    }  # fmt: skip


def test_a_patched_kernel_is_clean_and_has_another_control() -> None:
    assert expectations("3.16", "/fix.patch") == {
        "native-3.16": "clean", "dom0-3.16": "clean", "pv-3.16": "clean", "hvm-3.16": "clean",
        "dom0-control-bad": "corrupts",
    }  # fmt: skip


def test_the_first_that_is_not_affected_is_measured_by_the_labs_own_control() -> None:
    found = expectations("4.8.15")
    assert set(found.values()) == {"clean", "corrupts"}
    assert [cell for cell, word in found.items() if word == "corrupts"] == ["dom0-control-bad"]
    release = read_release("4.8.15")
    made = make_config(Tree("4.8.15", "/tree"), release, list_kinds(release), [])
    plan = cells(LabConfig.model_validate(made))
    assert {str(control_of(cell, plan).id) for cell in plan if cell.kernel == "4.8.15"} == {  # type: ignore[union-attr]
        "dom0-control-bad"
    }


def test_what_reads_its_command_line_too_late_runs_without_xsave_in_xen() -> None:
    found = expectations("4.2")
    assert found["dom0-4.2~noxsave"] == found["hvm-4.2~noxsave"] == "clean"
    assert found["native-4.2"] == "any"
    assert "dom0-4.5.7~noxsave" in expectations("4.5.7")
    assert "dom0-4.6" in expectations("4.6")


@pytest.mark.parametrize(
    ("version", "kinds"),
    [
        ("2.6.26", ["native", "hvm"]),
        ("2.6.27", ["native", "pv", "hvm"]),
        ("2.6.36", ["native", "pv", "hvm"]),
        ("2.6.37", list(KINDS)),
    ],
)
def test_the_kinds_that_a_version_can_be(version: str, kinds: list[str]) -> None:
    assert list_kinds(read_release(version)) == kinds


def test_slub_gives_way_since_2_6_29() -> None:
    assert needs_slab((2, 6, 28))
    assert not needs_slab((2, 6, 29))


def test_trees_of_a_list_and_of_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "trees.yaml"
    file.write_text("- {series: 3.2, tree: /a, rev: v3.2}\n- {series: '3.10', tree: /b}\n")
    assert read_trees(file) == [Tree("3.2", "/a", "v3.2"), Tree("3.10", "/b")]
    assert [tree.series for tree in read_trees(tmp_path)] == []
    (tmp_path / "3.4").mkdir()
    assert read_trees(tmp_path) == [Tree("3.4", str(tmp_path / "3.4"))]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {series: 3.2}\n", "a YAML list of series, tree, rev and patch"),
        ("- {series: 3.2, tree: /a, branch: b}\n", "branch"),
        ("kernel\n", "a YAML list"),
        ("[\n", "a YAML list"),
        ("- {series: 3.2, tree: /a}\n- {series: 3.2, tree: /b}\n", r"3\.2 is there twice"),
    ],
)
def test_a_wrong_list_is_one_sentence(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "trees.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match=problem):
        read_trees(file)


def outcome(kernel: str, kind: Any, verdict: Verdict, expect: Any) -> CellVerdict:
    cell = Cell(f"{kind}-{kernel}", kind, kernel, expect=expect)
    trial = TrialVerdict(verdict, "why", windows=400, checks=900, hits=7)
    return CellVerdict(cell, verdict, "why", (trial,))


def test_a_kernel_that_should_corrupt_and_is_clean_is_marked() -> None:
    made = Outcome("3.16", version="3.16.0")
    found = [
        outcome("3.16", "dom0", Verdict.CLEAN, "corrupts"),
        outcome("3.16", "pv", Verdict.CORRUPTS, "corrupts"),
        outcome("control-bad", "dom0", Verdict.CORRUPTS, "corrupts"),
    ]
    note_cells(made, Tree("3.16", "/tree"), found)
    assert not made.as_expected
    assert set(made.kinds) == {"dom0", "pv"}
    table = write_table([made])
    assert "| CLEAN 7 of 400 (!) | CORRUPTS 7 of 400 |" in table
    assert "- 3.16 dom0: CLEAN: why" in table


def test_an_eager_kernel_may_prove_nothing_natively() -> None:
    assert make_shown(outcome("4.2", "native", Verdict.VACUOUS, "any")).as_expected
    assert not make_shown(outcome("4.2", "native", Verdict.CRASHED, "any")).as_expected
    assert not make_shown(outcome("4.2", "dom0", Verdict.VACUOUS, "clean")).as_expected


def test_the_table_has_a_row_for_each_series_and_a_reason_for_what_is_missing() -> None:
    built = Outcome(
        "2.6.32", "2.6.32", "gcc-12 (Debian 12.2.0-14) 12.2.0", ["pie", "cet"], 301.5,
        kinds={"pv": Shown("CORRUPTS", True, 24, 1, 1)},
    )  # fmt: skip
    broken = Outcome("2.6.29", "2.6.29", reason="does not build: xen-asm_64.S:48: Error")
    lines = write_table([built, broken]).splitlines()
    seen = "not run | cannot | CORRUPTS 1 of 24 | not run |"
    assert f"| 2.6.32 | 2.6.32 | gcc 12.2.0 | 2 | 302 | {seen}" in lines
    assert "| 2.6.29 | 2.6.29 |  | 0 |  | not run | cannot | not run | not run |" in lines
    assert lines[-1] == "- 2.6.29: does not build: xen-asm_64.S:48: Error"


def bench(folder: Path) -> Bench:
    return Bench(folder, KINDS, 60)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    known = Outcome("3.2", "3.2.0", kinds={"pv": Shown("CORRUPTS", True, 24, 1, 1)})
    bench = Bench(tmp_path, ["pv"], 60)
    bench.keep(known)
    assert bench.work(Tree("3.2", "/there/is/no/such/tree")) == known


def test_what_the_lab_failed_at_and_what_was_not_asked_for_before_is_still_to_do() -> None:
    shown = {"native": Shown("CLEAN", True), "dom0": Shown("LAB_ERROR", False)}
    assert Outcome("3.2", kinds=shown).lacks(KINDS) == ["dom0", "pv", "hvm"]
    later = Outcome("3.2", kinds=dict(shown))
    again = [outcome("3.2", kind, Verdict.CRASHED, "clean") for kind in ("native", "dom0")]
    note_cells(later, Tree("3.2", "/tree"), again)
    assert [later.kinds[kind].verdict for kind in ("native", "dom0")] == ["CLEAN", "CRASHED"]


def test_a_tree_that_is_not_there_or_does_not_build_is_a_row(tmp_path: Path, cache: Path) -> None:
    assert cache.is_dir()
    gone = bench(tmp_path).work(Tree("3.4", "/there/is/no/such/tree"))
    assert "there is no such folder" in gone.reason
    tree = tmp_path / "3.2"
    tree.mkdir()
    (tree / "Makefile").write_text(f"VERSION = 3\nPATCHLEVEL = 2\n{MAKEFILE}")
    (tree / "Kbuild").touch()
    (tree / "main.c").write_text("broken\n")
    subprocess.run(["git", "init", "-q", tree], check=True)
    failed = bench(tmp_path).work(Tree("3.2", str(tree)))
    assert failed.version == "3.2.0"
    assert failed.reason
    assert bench(tmp_path).load(Tree("3.2", str(tree))) == failed
