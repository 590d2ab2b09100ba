# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as KCIDB takes it (schema 5.3): checkout and build of each kernel, a test for each cell.

A test's status is about the kernel, whatever was expected of it. ``misc`` has what was. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lab.console.text import clean
from lab.report.outline import Outline
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

ORIGIN = "xen_fpu_lab"
_STATUS = {
    Verdict.CLEAN: "PASS", Verdict.CORRUPTS: "FAIL", Verdict.CRASHED: "FAIL",
    Verdict.VACUOUS: "DONE", Verdict.LAB_ERROR: "MISS", None: "SKIP",
}  # fmt: skip
_COMMIT = re.compile(r"[0-9a-f]{40}")


def write_kcidb(outline: Outline, origin: str = ORIGIN) -> str:
    """JSON text. ``origin``: the name of the CI system, as its operators know it."""
    names = dict.fromkeys([*outline.kernels, *(cell.cell.kernel for cell in outline.cells)])
    report = {
        "version": {"major": 5, "minor": 3},
        "checkouts": [_checkout(outline, origin, name) for name in names],
        "builds": [_build(outline, origin, name) for name in names],
        "tests": [_test(outline, origin, cell) for cell in outline.cells],
    }
    return json.dumps(report, indent=1) + "\n"


def _checkout(outline: Outline, origin: str, name: str) -> dict[str, Any]:
    facts = outline.kernels.get(name, {})
    commit = next((v for v in facts.values() if isinstance(v, str) and _COMMIT.fullmatch(v)), "")
    return _drop_empty({
        "id": _identify(outline, origin, name), "origin": origin,
        "comment": _say(facts.get("version", name), facts.get("source_package", "")),
        "git_commit_hash": commit, "start_time": outline.began, "valid": True,
        "misc": _plain({k: v for k, v in facts.items() if k.startswith("source")}),
    })  # fmt: skip


def _build(outline: Outline, origin: str, name: str) -> dict[str, Any]:
    facts = outline.kernels.get(name, {})
    seconds = facts.get("seconds")
    return _drop_empty({
        "id": _identify(outline, origin, name), "origin": origin,
        "checkout_id": _identify(outline, origin, name),
        "comment": _say(name, facts.get("version", "")), "architecture": "x86_64",
        "compiler": str(facts.get("compiler", "")), "start_time": outline.began,
        "duration": seconds if isinstance(seconds, int | float) else None, "status": "PASS",
        "misc": _plain({k: v for k, v in facts.items() if k.endswith("sha256") or k == "patches"}),
    })  # fmt: skip


def _test(outline: Outline, origin: str, cell: CellVerdict) -> dict[str, Any]:
    return _drop_empty({
        "id": _identify(outline, origin, cell.cell.id), "origin": origin,
        "build_id": _identify(outline, origin, cell.cell.kernel),
        "path": f"xen_fpu_leak.{cell.cell.guest}", "status": _STATUS[cell.verdict],
        "comment": clean(cell.reason.encode(errors="replace")),
        "start_time": outline.began, "duration": round(cell.seconds, 3),
        "environment": _drop_empty({
            "comment": outline.facts.get("machine", ""), "misc": _plain(outline.facts)
        }),
        "misc": {
            "cell": cell.cell.id,
            "verdict": cell.verdict.value if cell.verdict is not None else "impossible",
            "expected": cell.cell.expect or "clean", "as_expected": cell.as_expected,
            "windows": cell.windows, "hits": cell.hits, "boots": len(cell.trials),
        },
    })  # fmt: skip


def _identify(outline: Outline, origin: str, what: str) -> str:
    return f"{origin}:{outline.run}/{what}"


def _say(first: Any, second: Any) -> str:
    return f"{first} ({second})" if second else str(first)


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """JSON as it is; anything else as text."""
    return {key: v if isinstance(v, str | int | float | dict | list) else str(v)
            for key, v in facts.items()}  # fmt: skip


def _drop_empty(content: dict[str, Any]) -> dict[str, Any]:
    """KCIDB has no null; what is not known is left out."""
    return {key: value for key, value in content.items() if value not in ("", None, {})}
