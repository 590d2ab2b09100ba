# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab history` and its commands, `lab export`, and `lab verify` of an archive, as typed."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.errors import UserError
from lab.history.index import FILE
from lab.verdict.severity import Verdict
from tests.helpers.nights import INPUTS, control, outcome, write_run
from tests.helpers.runs import FakePlace, run_with, truth

FIRST, SECOND = "20261101T020000Z", "20261102T020000Z"
LONG = "pv-mine@a-machine-in-a-rack-with-a-long-name.example"


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two nights; in the second one `mine` corrupts, with another kernel and another QEMU."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "results"
    monkeypatch.setenv("LAB_RESULTS", str(root))
    kernels = {**INPUTS["supplies"]["kernels"], "mine": {"version": "7.2.0", "sha256": "33" * 32}}
    later = {**INPUTS["supplies"], "qemu": {"version": "10.0.2"}, "kernels": kernels}
    first = [control(), outcome("dom0-mine"), outcome("native-mine"), outcome(LONG)]
    bad = outcome("dom0-mine", Verdict.CORRUPTS, [(100, 7)], reason="9 failed checks")
    write_run(root, f"{FIRST}-aaaa", first, night=FIRST)
    write_run(
        root, f"{SECOND}-bbbb", [control(), bad, outcome("native-mine")],
        {"dom0-mine": "xen bug 40"}, night=SECOND, supplies=later,
    )  # fmt: skip
    return root


def narrow(said: str) -> list[str]:
    """Its lines, none of them wider than 100 columns."""
    lines = [line.rstrip() for line in said.splitlines()]
    assert max(map(len, lines)) <= 100
    return lines


def test_all_cells_and_what_changed(results: Path) -> None:
    lines = narrow(run("history"))
    assert lines[0].split() == ["cell", "last", "expected", "runs", "results"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:5]}
    assert rows["dom0-mine"] == ["CORRUPTS", "no:", "clean", "2", ".X"]
    assert rows["dom0-bad"] == ["CORRUPTS", "yes", "2", "XX"]
    change = lines.index(
        f"{SECOND}-bbbb  dom0-mine corrupts, and was clean before: 7 of 100 windows hit"
    )
    assert lines[change + 1].strip() == (
        f"kernel: 7.1.0 commit {'2' * 12} {'1' * 12} -> 7.2.0 {'3' * 12}"
    )
    assert lines[change + 2].strip() == "qemu: 7.2.22 -> 10.0.2"
    assert (results / FILE).is_file()


def test_one_cell_with_its_label_and_inputs(results: Path) -> None:
    lines = narrow(run("history", "dom0-mine", "--results", results))
    assert lines[0] == "dom0-mine"
    assert [line.split()[1] for line in lines[2:4]] == ["CLEAN", "CORRUPTS"]
    assert "    known: xen bug 40" in lines
    assert "    > corrupts, and was clean before: 7 of 100 windows hit" in lines
    assert "    qemu: 7.2.22 -> 10.0.2" in lines
    assert "native-mine" in run("history", "*-mine")
    with pytest.raises(UserError, match=r"matches no cell of the history \(it has dom0-bad"):
        run("history", "hvm-*")


def test_no_results_are_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there are no results in" in run("history")
    assert run("history", "rebuild") == "0 runs with 0 results, 0 nights\n"


@pytest.mark.usefixtures("results")
def test_made_anew() -> None:
    assert run("history", "rebuild") == "2 runs with 7 results, 2 nights\n"


@pytest.mark.usefixtures("results")
def test_two_nights_beside_each_other() -> None:
    lines = narrow(run("history", "diff", FIRST, SECOND))
    row = next(line.split() for line in lines if line.startswith("dom0-mine"))
    assert row == ["dom0-mine", "CLEAN", "CORRUPTS", "0.070"]
    assert next(line for line in lines if line.startswith(LONG)).endswith("not run")
    assert "2 cells show the same verdict in both" in lines
    assert "    qemu: 7.2.22 -> 10.0.2" in lines[lines.index("other inputs that changed:") :]
    same = run("history", "diff", f"{FIRST}-aaaa", FIRST)
    assert same == "4 cells show the same verdict in both\n"
    with pytest.raises(UserError, match="is not a night or a run"):
        run("history", "diff", FIRST, "yesterday")


@pytest.mark.usefixtures("results")
def test_since_when_it_is_bad() -> None:
    lines = narrow(run("history", "since-good", "dom0-mine"))
    assert lines[0] == f"last good   {FIRST}-aaaa, CLEAN"
    assert lines[1] == f"first bad   {SECOND}-bbbb, CORRUPTS (xen bug 40)"
    assert "inputs that changed between:" in lines
    assert "    qemu: 7.2.22 -> 10.0.2" in lines
    assert "is as expected" in run("history", "since-good", "native-mine")
    with pytest.raises(UserError, match="matches no cell"):
        run("history", "since-good", "dom0-nowhere")


def test_what_proves_nothing_is_neither_good_nor_bad(results: Path) -> None:
    night = "20261103T020000Z"
    write_run(results, f"{night}-cccc", [outcome("native-mine", Verdict.LAB_ERROR)], night=night)
    assert f"is as expected: {SECOND}-bbbb" in run("history", "since-good", "native-mine")


def test_tidied_and_still_in_the_history(results: Path, tmp_path: Path) -> None:
    config = tmp_path / "lab.yaml"
    config.write_text(
        "kernels: {mine: {image: bzImage}}\nmatrix: {guests: [dom0]}\nkeep: {nights: 1}\n"
    )
    said = run("history", "tidy", "--dry-run")
    assert f"would remove {FIRST}-aaaa" in said
    assert (results / f"{FIRST}-aaaa").is_dir()
    said = run("history", "tidy")
    assert f"removed {FIRST}-aaaa" in said
    assert not (results / f"{FIRST}-aaaa").exists()
    (results / FILE).unlink()
    assert "the evidence of 1 runs was removed" in run("history", "rebuild")
    assert "last good" in run("history", "since-good", "dom0-mine")


def test_an_archive_is_verified_as_its_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real run's, of a fake place: the verdicts are derived again from its consoles."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    made, _ = run_with(tmp_path, monkeypatch, FakePlace(truth), stop=threading.Event())
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"]
    subprocess.run(words, check=True)
    folder = made.folder.path
    code = CliRunner().invoke(app, ["verify", str(folder)]).exit_code
    assert "signed with key" in run("export", folder, "--key", "key", "-o", "signed.zip")
    run("export", folder)
    assert "not signed" in run("verify", f"{folder.name}.zip", code=code)
    said = run("verify", "signed.zip", code=code)
    assert "cells derived again with equal verdicts" in said
    assert "whose key that is was not checked" in said
    assert "whose key" not in run("verify", "signed.zip", "--signer", "key.pub", code=code)
    subprocess.run([*words[:-1], "other"], check=True)
    assert "DOES NOT HOLD" in run("verify", "signed.zip", "--signer", "other.pub", code=4)
    unsigned = run("verify", f"{folder.name}.zip", "--signer", "key.pub", code=4)
    assert "the archive is not signed" in unsigned
    with pytest.raises(UserError, match="goes with an archive"):
        run("verify", folder, "--signer", "key.pub")
    with pytest.raises(UserError, match="is inside the run"):
        run("export", folder, "-o", folder / "a.zip")
