# SPDX-License-Identifier: GPL-2.0-or-later
"""KCIDB's own validator takes the report, and everything that it refers to is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kcidb_io.schema import V5_3

from lab.report.kcidb import write_kcidb
from lab.report.outline import Outline
from tests.helpers.outlines import make_run


@pytest.fixture
def report() -> Any:
    return json.loads(write_kcidb(make_run()))


def test_it_is_valid(report: Any) -> None:
    V5_3.validate_exactly(report)
    V5_3.validate_exactly(json.loads(write_kcidb(Outline("empty"))))


def test_the_validator_can_refuse(report: Any) -> None:
    report["tests"][0]["status"] = "GOOD"
    with pytest.raises(Exception, match="GOOD"):
        V5_3.validate_exactly(report)


def test_references_are_complete_and_ids_are_unique(report: Any) -> None:
    ids = {kind: [one["id"] for one in report[kind]] for kind in ("checkouts", "builds", "tests")}
    assert all(len(set(known)) == len(known) for known in ids.values())
    assert {one["checkout_id"] for one in report["builds"]} <= set(ids["checkouts"])
    assert {one["build_id"] for one in report["tests"]} <= set(ids["builds"])


def test_a_status_is_about_the_kernel(report: Any) -> None:
    assert {one["misc"]["cell"]: one["status"] for one in report["tests"]} == {
        "pv-CLEAN": "PASS", "pv-VACUOUS": "DONE", "pv-LAB_ERROR": "MISS", "pv-CRASHED": "FAIL",
        "pv-CORRUPTS": "FAIL", "dom0-CORRUPTS": "FAIL", "dom0-CLEAN": "PASS", "pvh-x": "SKIP",
    }  # fmt: skip


def test_a_kernel_of_a_git_tree_has_its_commit(report: Any) -> None:
    commits = {
        one["id"].rpartition("/")[2]: one.get("git_commit_hash") for one in report["checkouts"]
    }
    assert commits["mine"] == "0123456789abcdef0123456789abcdef01234567"
    assert commits["bad"] is None
