# SPDX-License-Identifier: GPL-2.0-or-later
"""Xen asked directly: four kinds of guest on Debian's Xen, and dom0 on one that leaves TS set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.lab import lab, run_folder
from tests.helpers.project import PROJECT

pytestmark = pytest.mark.boots
_PATCHES = PROJECT / "images" / "xen" / "4.17"
_CONFIG = f"""
kernels: {{any: {{control: bad}}}}
xens:
  ts-set: {{source: xen, patches: [{next(_PATCHES.glob("*.patch"))}]}}
"""


def ask(folder: Path, *words: str) -> tuple[int, dict[str, str], Path]:
    """Exit code, outcomes by kind, and the run's folder."""
    config = folder / "lab.yaml"
    config.write_text(_CONFIG)
    done = lab("probe", "-c", str(config), *words)
    run = run_folder(done.stdout)
    written = [json.loads(path.read_text()) for path in run.glob("probe/*/verdict.json")]
    return done.returncode, {one["kind"]: one["outcome"] for one in written}, run


def test_debians_xen_clears_ts_for_pv_guests_alone(tmp_path: Path) -> None:
    code, outcomes, run = ask(tmp_path, "native", "dom0", "pv", "pvh", "--expect", "clear")
    assert outcomes == {
        "native": "TS SET", "dom0": "TS CLEAR", "pv": "TS CLEAR", "pvh": "TS SET",
    }  # fmt: skip
    assert code == 0
    again = lab("verify", str(run), timeout=60)
    assert "4 guests derived again with equal answers" in again.stdout
    assert again.returncode == 0


def test_the_patched_xen_leaves_it_set(tmp_path: Path) -> None:
    code, outcomes, _ = ask(tmp_path, "dom0", "--xen", "ts-set", "--expect", "clear")
    assert outcomes == {"dom0": "TS SET"}
    assert code == 7
