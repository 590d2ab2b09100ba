# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab report`: a run in a form that other tools read, out of its folder."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path

from lab.errors import UserError
from lab.evidence.outcomes import read_outcomes
from lab.evidence.run import RunFolder
from lab.report.junit import junit
from lab.report.kcidb import write_kcidb
from lab.report.markdown import write_summary
from lab.report.outline import Outline, make_outline
from lab.report.screen import write_screen
from lab.report.tap import write_tap
from lab.report.terminal import Terminal
from lab.system.files import shorten, write_atomic


class Format(StrEnum):
    """What `lab report --format` takes."""

    JUNIT = "junit"
    TAP = "tap"
    KCIDB = "kcidb"
    TEXT = "text"
    MARKDOWN = "markdown"


def report(path: Path, form: Format, output: Path | None) -> None:
    """Print it, or write it to a file."""
    text = write(read_outline(path), form)
    if output is None:
        sys.stdout.write(text)
        return
    try:
        write_atomic(output, text)
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror})") from None
    Terminal().say(f"written to {shorten(output)}")


def read_outline(path: Path) -> Outline:
    """UserError where the folder is not a run of cells."""
    run = RunFolder.open(path)
    if not (run.path / "plan.json").is_file():
        raise UserError(f"{path}: has no plan.json, so it is not a run of cells")
    return make_outline(run.path.name, run.manifest(), read_outcomes(run))


def write(outline: Outline, form: Format) -> str:
    """The run in that form: pure."""
    if form is Format.JUNIT:
        return junit("xen-fpu-lab", outline.cells, outline=outline)
    if form is Format.TAP:
        return write_tap(outline)
    if form is Format.KCIDB:
        return write_kcidb(outline)
    if form is Format.TEXT:
        return write_screen(outline)
    facts = {name: text for name, text in outline.facts.items() if name != "command"}
    return write_summary(f"Run {outline.run}", facts, list(outline.cells), outline.command)
