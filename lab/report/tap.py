# SPDX-License-Identifier: GPL-2.0-or-later
"""A run in the Test Anything Protocol, version 14: pure.

A cell is a test, as in JUnit: it is ok when it shows what is expected. What could not be run here,
and what proves nothing where nothing is expected, is skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from lab.console.text import clean
from lab.report.outline import Outline
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict


def write_tap(outline: Outline) -> str:
    """The whole stream."""
    lines = ["TAP version 14", f"1..{len(outline.cells)}"]
    lines += [f"# {_flatten(name)}: {_flatten(text)}" for name, text in outline.facts.items()]
    for number, cell in enumerate(outline.cells, 1):
        lines += _test(number, cell)
    return "\n".join(lines) + "\n"


def _test(number: int, cell: CellVerdict) -> Iterator[str]:
    name = _escape(cell.cell.id)
    if cell.verdict is None:
        yield f"ok {number} - {name} # SKIP impossible here: {_flatten(cell.reason)}"
        return
    if cell.verdict is Verdict.VACUOUS and cell.cell.expect is None:
        yield f"ok {number} - {name} # SKIP VACUOUS: {_flatten(cell.reason)}"
        return
    yield f"{'ok' if cell.as_expected else 'not ok'} {number} - {name}"
    yield "  ---"
    facts = {
        "verdict": cell.verdict.value, "expected": cell.cell.expect or "clean",
        "message": _flatten(cell.reason), "windows": cell.windows, "hits": cell.hits,
        "checks": cell.checks, "corruptions": cell.corruptions, "boots": len(cell.trials),
        "duration_ms": round(cell.seconds * 1000),
    }  # fmt: skip
    for key, value in facts.items():
        yield f"  {key}: {json.dumps(value)}"  # JSON is YAML
    yield "  ..."


def _escape(text: str) -> str:
    r"""A description ends at a #, which a backslash takes as it is."""
    return _flatten(text).replace("\\", "\\\\").replace("#", "\\#")


def _flatten(text: str) -> str:
    """On one line, safe to show."""
    return " ".join(clean(text.encode(errors="replace")).split())
