# SPDX-License-Identifier: GPL-2.0-or-later
"""The probe's findings once more, from the raw consoles."""

from __future__ import annotations

from pathlib import Path

from lab.probe.folder import find_evidence
from lab.probe.judge import Finding


def rederive(place: Path) -> tuple[list[Finding], list[str]]:
    """The findings in a folder of guests, and each that differs from what was written.

    UserError where a guest's folder is not whole.
    """
    findings, differences = [], []
    for evidence in find_evidence(place):
        found, written = evidence.judge(), evidence.read_verdict()
        findings.append(found)
        for key in ("outcome", "answers"):
            if found.as_json()[key] != written.get(key):
                differences.append(
                    f"{evidence.kind}: written {written.get(key)}, derived {found.as_json()[key]}"
                )
    return findings, differences
