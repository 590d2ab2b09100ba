# SPDX-License-Identifier: GPL-2.0-or-later
"""A patch validated for real: both control kernels stand for a tree without and with the fix."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from lab.kernel.control import build_control
from tests.helpers.lab import lab, run_folder

pytestmark = pytest.mark.boots
# One kernel in a thousand half as bad may pass: enough to distinguish the outcomes.
_CONFIG = "kernels: {any: {control: bad}}\nconfidence: {level: 1.0e-3, safety: 2}\n"


@pytest.fixture(scope="module")
def kernels() -> dict[str, Path]:
    return {state: build_control(state, lambda _: None).image for state in ("bad", "fixed")}


def validate(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "lab.yaml").write_text(_CONFIG)
    return lab("validate", "-c", str(folder / "lab.yaml"), *words)


def validated(folder: Path, before: Path, after: Path, *kinds: str) -> tuple[int, dict[str, Any]]:
    """Exit code and validate.json, the run's folder among it."""
    words = [word for kind in kinds for word in ("--cell", kind)]
    done = validate(folder, "--unpatched", str(before), "--patched", str(after), *words)
    run = run_folder(done.stdout)
    return done.returncode, {**json.loads((run / "validate.json").read_text()), "folder": run}


def test_the_fix_fixes(tmp_path: Path, kernels: dict[str, Path]) -> None:
    code, found = validated(tmp_path, kernels["bad"], kernels["fixed"], "dom0", "native")
    assert (code, found["outcome"]) == (0, "FIXES")
    effects = {cell["cell"]: cell["effect"] for cell in found["cells"]}
    # On a starved machine a native boot may be too short to be shown clean without the patch.
    assert effects["dom0"] == "fixed"
    assert effects["native"] in ("still clean", "clean")
    page = (found["folder"] / "validate.txt").read_text()
    assert "Tested-by: " in page
    assert found["rounds"] >= 3
    assert not ET.parse(found["folder"] / "junit.xml").findall(".//failure")
    again = lab("verify", str(found["folder"]), timeout=60)
    assert "derived again with equal verdicts" in again.stdout


def test_no_fix_does_not_fix(tmp_path: Path, kernels: dict[str, Path]) -> None:
    code, found = validated(tmp_path, kernels["bad"], kernels["bad"], "dom0")
    assert (code, found["outcome"]) == (6, "DOES NOT FIX")
    assert found["rounds"] == 1


def test_nothing_to_fix_is_vacuous(tmp_path: Path, kernels: dict[str, Path]) -> None:
    code, found = validated(tmp_path, kernels["fixed"], kernels["fixed"], "dom0")
    assert (code, found["outcome"]) == (3, "VACUOUS")
