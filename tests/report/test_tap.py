# SPDX-License-Identifier: GPL-2.0-or-later
"""TAP 14, as Perl's own reader and a strict one of ours see it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lab.report.tap import write_tap
from tests.helpers.outlines import make_run

LINE = re.compile(r"(not )?ok (\d+) - ((?:\\.|[^#\\])*?)(?: # SKIP (.*))?")


def read(text: str) -> dict[str, tuple[bool, str | None, dict[str, object]]]:
    """By name: ok, why it was skipped, the diagnostics. Fails on anything that is not TAP."""
    lines = text.splitlines()
    assert lines[0] == "TAP version 14"
    found: dict[str, tuple[bool, str | None, dict[str, object]]] = {}
    block: list[str] | None = None
    name = ""
    for line in lines[2:]:
        if block is not None and line != "  ...":
            block.append(line)
        elif line == "  ---":
            block = []
        elif line == "  ...":
            assert block is not None
            found[name] = (*found[name][:2], yaml.safe_load("\n".join(block)))
            block = None
        elif not line.startswith("# "):
            matched = LINE.fullmatch(line)
            assert matched, line
            assert int(matched[2]) == len(found) + 1
            name = re.sub(r"\\(.)", r"\1", matched[3])
            found[name] = (not matched[1], matched[4], {})
    assert lines[1] == f"1..{len(found)}"
    return found


def test_a_cell_is_ok_when_it_shows_what_it_should() -> None:
    found = read(write_tap(make_run()))
    states = {name: (ok, bool(skipped)) for name, (ok, skipped, _) in found.items()}
    assert states == {
        "pv-CLEAN": (True, False), "pv-VACUOUS": (True, True), "pv-LAB_ERROR": (False, False),
        "pv-CRASHED": (False, False), "pv-CORRUPTS": (False, False),
        "dom0-CORRUPTS": (True, False), "dom0-CLEAN": (False, False), "pvh-x": (True, True),
    }  # fmt: skip


def test_hostile_reasons_stay_in_their_place() -> None:
    text = write_tap(make_run())
    assert not re.search("[\x00-\x09\x0b-\x1f]", text)
    diagnostics = read(text)["pv-CRASHED"][2]
    assert diagnostics["message"] == "Oops # SKIP \\ ok 99 - <b>&"
    assert diagnostics["duration_ms"] == 12346


@pytest.mark.skipif(shutil.which("prove") is None, reason="prove, of Perl, is not installed")
def test_perl_reads_the_same(tmp_path: Path) -> None:
    """Version 13, which is all that many a Perl knows; what is here is the same in both."""
    text = write_tap(make_run()).replace("version 14", "version 13", 1)
    (tmp_path / "run.tap").write_text(text)
    done = subprocess.run(
        ["prove", "--exec", "cat", "run.tap"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Failed 4/8" in done.stdout + done.stderr
    assert "Parse errors" not in done.stdout + done.stderr
    assert re.search(r"Failed tests?:\s+3-5, 7", done.stdout)
