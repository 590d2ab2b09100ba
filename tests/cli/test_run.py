# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that look at cells and runs, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.config.cells import Cell
from lab.errors import UserError
from lab.evidence.outcomes import read_outcomes
from lab.evidence.run import FORMAT, RunFolder
from lab.report.table import how_sure, list_unexpected, make_row
from lab.report.terminal import Terminal
from lab.verdict.cell import CellVerdict
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict


def run(*words: str) -> str:
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_plan_by_name_is_printed_with_the_kernels_that_it_asks_for() -> None:
    said = run("plan", "--plan", "seed")
    assert "dom0-control-bad" in said
    assert "kernels.old: has to be given by --kernel old=BZIMAGE" in said


def test_a_kernel_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = tmp_path / "lab.yaml"
    config.write_text("kernels: {mine: {image: bzImage}}\nmatrix: {guests: [dom0]}\n")
    assert f"kernels.mine: there is no file {tmp_path}/bzImage" in run("plan", "-c", str(config))
    (tmp_path / "bzImage").touch()
    assert "there is no file" not in run("plan", "-c", str(config))


def outcomes() -> list[CellVerdict]:
    clean = TrialVerdict(Verdict.CLEAN, "0 corruptions", windows=500)
    bad = TrialVerdict(
        Verdict.CORRUPTS, "9 failed checks", windows=100, hits=4, corruptions=9,
        first_corruption=0.5, example={"role": "victim", "reg": "mm0"},
    )  # fmt: skip
    return [
        CellVerdict(Cell("dom0-x", "dom0", "x", expect="corrupts"), Verdict.CORRUPTS, "seen",
                    (bad, bad), 12.3),
        CellVerdict(Cell("native-x", "native", "x"), Verdict.CLEAN, "none", (clean,), 4.0, 9e-7),
        CellVerdict(Cell("pv-x", "pv", "x"), Verdict.VACUOUS, "few", (clean,), 4.0, None, 0.8),
        CellVerdict(Cell("pvh-x", "pvh", "x"), None, "no PHYS32 entry"),
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path / "results")
    made.write("manifest.json", {"format": FORMAT, "command": "lab run x", "began": "then"})
    config = {"kernels": {"x": {"image": "/x"}}}
    made.write("config.json", config)
    cells = [{**vars(o.cell)} for o in outcomes()]
    made.write("plan.json", {"cells": cells})
    made.write("summary.json", {"cells": [o.as_json() for o in outcomes()]})
    return made


def test_the_table_says_each_thing_once() -> None:
    rows = [make_row(outcome) for outcome in outcomes()]
    assert rows[0] == ("dom0-x", "CORRUPTS", "yes", "200", "-", "8", "2", "-", "12")
    assert rows[1] == ("native-x", "CLEAN", "yes", "500", "-", "0", "1", "1 - 9e-07", "4")
    assert rows[2][2:] == ("no: clean", "500", "-", "0", "1", "1 - 8e-01", "4")
    assert rows[3][1] == "impossible"
    assert [name for name, _ in list_unexpected(outcomes())] == ["pv-x", "pvh-x"]


def test_how_sure_shows_the_part_that_matters() -> None:
    assert [how_sure(miss) for miss in (None, 0.0, 9.4e-7)] == ["-", "1", "1 - 9e-07"]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_table_fits(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    names = ["native-control-fixed", "dom0-control-bad"]
    cells = [
        CellVerdict(Cell(name, "dom0", "x"), Verdict.CLEAN, "", (TrialVerdict(Verdict.CLEAN, "",
                    windows=1_234_567, tried=654_321),) * 10, 1234.0, 9e-7) for name in names
    ]  # fmt: skip
    Terminal(Console(width=width)).table(cells, 10)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines[:3]) == 3
    assert max(len(line) for line in lines[:3]) <= width
    assert "native-control-fixed" in lines[1]
    assert ("6,543,210" in lines[1]) is (width >= 100)


def test_outcomes_are_read_back_as_they_were_written(folder: RunFolder) -> None:
    assert read_outcomes(folder) == outcomes()


def test_a_run_is_shown_again(folder: RunFolder) -> None:
    said = run("show", str(folder.path))
    assert "lab run x" in said
    assert "1 - 9e-07" in said
    assert "pv-x  VACUOUS: few" in said


def test_all_about_a_cell(folder: RunFolder) -> None:
    said = run("show", str(folder.path), "dom0-x")
    assert "200, 8 of them hit" in said
    assert "role=victim reg=mm0" in said


def test_a_cell_that_a_run_does_not_have_is_named(folder: RunFolder) -> None:
    with pytest.raises(UserError, match=r"has no cell 'pv-y'"):
        run("show", str(folder.path), "pv-y")


def test_an_interrupted_run_says_so(folder: RunFolder) -> None:
    (folder.path / "summary.json").write_text(json.dumps({"cells": []}))
    assert {o.reason for o in read_outcomes(folder)} == {
        "not run: the run was interrupted before it"
    }


@pytest.mark.parametrize(
    ("form", "begin"),
    [
        ("text", "1 of 4 cells not as expected: pv-x VACUOUS (1 impossible here)"),
        ("tap", "TAP version 14\n1..4\n"),
        ("junit", "<?xml "),
        ("kcidb", '{\n "version": {\n  "major": 5,'),
        ("markdown", "# Run "),
    ],
)
def test_a_run_is_reported_in_each_format(
    folder: RunFolder, form: str, begin: str, tmp_path: Path
) -> None:
    said = run("report", str(folder.path), "--format", form)
    assert (
        said.replace("\n", " ")
        .replace(f"{folder.path.name}: ", "")
        .startswith(begin.replace("\n", " "))
    )
    run("report", str(folder.path), "--format", form, "-o", str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == said


def test_a_format_that_is_not_one_is_named(folder: RunFolder) -> None:
    with pytest.raises(UserError, match="there are junit, tap, kcidb, text, markdown"):
        run("report", str(folder.path), "--format", "html")
