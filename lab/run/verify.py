# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab verify`: the hashes, and every verdict once more from the raw consoles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lab.config.cells import Cell
from lab.config.lab import LabConfig
from lab.evidence.rules import hash_rules
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.probe.folder import NAME as PROBE
from lab.probe.judge import exit_code as probe_exit_code
from lab.probe.text import make_table as make_probe_table
from lab.probe.verify import rederive as rederive_probe
from lab.report.terminal import Terminal
from lab.verdict.cell import CellVerdict, combine, with_controls
from lab.verdict.severity import Verdict, exit_code
from lab.verdict.trial import judge


def rederive(run: RunFolder) -> tuple[list[CellVerdict], list[str]]:
    """Cells as the consoles show them, and every difference from what the run wrote."""
    cells: list[CellVerdict] = []
    differences: list[str] = []
    stored = {c["cell"]: c for c in run.summary()}
    for planned in run.plan():
        cell = Cell(**planned)
        verdicts = []
        for trial in run.trials(cell.id):
            derived = judge(trial.facts(), trial.read_console(), trial.ending())
            verdicts.append(derived)
            written = trial.verdict()
            name = f"{cell.id}/{trial.path.name}"
            if written is None:
                differences.append(f"{name}: was interrupted before its verdict")
            elif written["verdict"] != derived.verdict.value:
                differences.append(
                    f"{name}: written {written['verdict']}, derived {derived.verdict.value}"
                )
        before = stored.get(cell.id, {})
        if verdicts:
            cell = place_cell(cell, run)
            cells.append(combine(cell, verdicts, before.get("seconds", 0.0)))
        elif before.get("verdict") is None and before:
            cells.append(CellVerdict(cell, None, str(before.get("reason", ""))))
        else:
            cells.append(CellVerdict(cell, Verdict.LAB_ERROR, "no trial is in the folder"))
    config = LabConfig.model_validate(run.read("config.json"))
    weighed = with_controls(cells, config.confidence)
    for result in weighed:
        written_verdict = stored.get(result.cell.id, {}).get("verdict")
        found = result.verdict.value if result.verdict is not None else None
        if written_verdict != found:
            differences.append(f"{result.cell.id}: written {written_verdict}, derived {found}")
    return weighed, differences


def place_cell(cell: Cell, run: RunFolder) -> Cell:
    """The cell on the board or machine that booted it, where it could have gone to several."""
    facts = [trial.facts() for trial in run.trials(cell.id)]
    where = next((one.board or one.machine for one in reversed(facts)), "")
    return replace(cell, board=cell.board or where)


def verify(path: Path) -> int:
    """Print the table and what does not hold; 4 when anything does not, else the run's code."""
    run = RunFolder.open(path)
    if run.manifest().get("bisect"):
        return _verify_all(run)
    if run.manifest().get("probe"):
        return _verify_probe(run)
    cells, differences = rederive(run)
    config = LabConfig.model_validate(run.read("config.json"))
    problems = run.find_changes() + differences
    terminal = Terminal()
    terminal.table(cells, config.confidence.safety)
    for problem in problems:
        terminal.say(f"DOES NOT HOLD: {problem}")
    if differences:
        _note_other_rules(terminal, [run])
    if problems:
        return Exit.LAB_ERROR
    hashes = len(run.hashes())
    terminal.say(
        f"verified: {hashes} files unchanged, {len(cells)} cells derived again with equal verdicts"
    )
    return exit_code([(c.verdict, c.cell.expect) for c in cells if c.verdict is not None])


def _note_other_rules(terminal: Terminal, folders: list[RunFolder]) -> None:
    """Evidence outlives the lab that wrote it: a later version may judge differently."""
    if any(folder.manifest().get("rules") != hash_rules() for folder in folders):
        terminal.say(
            "note: another version of the lab wrote this and judged by other rules, "
            "which may be why a verdict differs"
        )


def _verify_probe(run: RunFolder) -> int:
    """Verify the answers of `lab probe`."""
    terminal = Terminal()
    findings, differences = rederive_probe(run.path / PROBE)
    problems = run.find_changes() + differences
    for line in make_probe_table(findings):
        terminal.say(line)
    for problem in problems:
        terminal.say(f"DOES NOT HOLD: {problem}")
    if problems:
        return Exit.LAB_ERROR
    terminal.say(
        f"verified: {len(run.hashes())} files unchanged, "
        f"{len(findings)} guests derived again with equal answers"
    )
    return probe_exit_code(findings)


def _verify_all(bisect: RunFolder) -> int:
    """Verify a bisect's sessions, each a run of its own; those set aside are left out."""
    terminal = Terminal()
    problems: list[str] = []
    checked: list[RunFolder] = []
    for path in sorted((bisect.path / "steps").iterdir()):
        if not (path / "manifest.json").is_file() or ".stopped" in path.name:
            continue  # a commit that did not build has no session
        session = RunFolder.open(path)
        found = session.find_changes() + rederive(session)[1]
        problems += [f"{path.name}: {problem}" for problem in found]
        checked.append(session)
    for problem in problems:
        terminal.say(f"DOES NOT HOLD: {problem}")
    if problems:
        _note_other_rules(terminal, checked)
        return Exit.LAB_ERROR
    terminal.say(f"verified: {len(checked)} sessions unchanged, derived again with equal verdicts")
    return 0
