# SPDX-License-Identifier: GPL-2.0-or-later
"""`lab show` and `lab list`: earlier runs, from their folders. Nothing is judged again."""

from __future__ import annotations

from pathlib import Path

from lab.config.lab import LabConfig
from lab.errors import UserError
from lab.evidence.outcomes import read_outcomes
from lab.evidence.run import RunFolder
from lab.evidence.trial import TrialFolder
from lab.report.table import how_sure
from lab.report.terminal import Terminal
from lab.system.files import shorten
from lab.verdict.cell import CellVerdict

LIST_HEADINGS = ("run", "command", "outcome")
_NARROW = 40  # of a command in the list


def show_run(path: Path) -> None:
    """Print a run's closing table again."""
    run = RunFolder.open(path)
    terminal = Terminal()
    manifest = run.manifest()
    terminal.say(f"{manifest['command']}")
    terminal.say(f"began {manifest.get('began', '?')}; evidence in {shorten(run.path)}")
    terminal.say("")
    if not (run.path / "plan.json").is_file():
        terminal.say(f"its page is {shorten(run.path)}/summary.md")
        return
    config = LabConfig.model_validate(run.read("config.json"))
    terminal.table(read_outcomes(run), config.confidence.safety)
    terminal.say(f"\nmore about one cell: lab show {shorten(run.path)} CELL")


def show_cell(path: Path, cell: str) -> None:
    """Print all about one cell: verdict, reason, figures, consoles, the first corruption."""
    run = RunFolder.open(path)
    found = {outcome.cell.id: outcome for outcome in read_outcomes(run)}
    if cell not in found:
        raise UserError(f"{path}: has no cell {cell!r} (it has {', '.join(found)})")
    terminal = Terminal()
    for line in describe_cell(found[cell], run.trials(cell)):
        terminal.wrap(line)


def describe_cell(outcome: CellVerdict, trials: list[TrialFolder]) -> list[str]:
    """The lines about a cell."""
    verdict = outcome.verdict.value if outcome.verdict is not None else "impossible here"
    lines = [f"{outcome.cell.id}: {verdict}", f"  {outcome.reason}", ""]
    figures = {
        "expected": outcome.cell.expect or "nothing: clean passes",
        "windows": f"{outcome.windows:,}, {outcome.hits:,} of them hit",
        "checks": f"{outcome.checks:,}, {outcome.corruptions:,} of them failed",
        "how sure": how_sure(outcome.miss),
        "boots": f"{len(outcome.trials):,} in {outcome.seconds:.0f} s",
        "arguments": outcome.cell.args or "-",
    }
    lines += [f"  {name:<10} {text}" for name, text in figures.items()]
    first = next((t for t in outcome.trials if t.example), None)
    if first is not None:
        words = " ".join(f"{key}={value}" for key, value in first.example.items())
        lines += ["", f"  first corruption, {first.first_corruption or 0:.2f} s: {words}"]
    notes = dict.fromkeys(note for trial in outcome.trials for note in trial.notes)
    lines += [f"  note: {note}" for note in notes]
    lines += ["", "  boot  verdict      windows    hits  console"]
    for trial, seen in zip(trials, outcome.trials, strict=False):
        figures_of = f"{seen.verdict.value:<9} {seen.windows:>10,} {seen.hits:>7,}"
        lines.append(f"  {trial.number:>4}  {figures_of}  {_below_run(trial)}")
    if trials:
        lines += ["", f"  evidence in {shorten(trials[0].path.parents[2])}"]
    return lines


def _below_run(trial: TrialFolder) -> str:
    return str(trial.console.relative_to(trial.path.parents[2]))


def list_runs(root: Path) -> None:
    """The runs below a results folder, the newest last."""
    terminal = Terminal()
    found = [path for path in sorted(root.iterdir()) if _is_run(path)] if root.is_dir() else []
    if not found:
        terminal.say(f"there are no runs in {shorten(root)}")
        return
    rows = [_list_row(RunFolder(path)) for path in found]
    terminal.rows(LIST_HEADINGS, rows, numbers=False)
    terminal.say(f"\na run's table: lab show {shorten(found[-1])}")


def _is_run(path: Path) -> bool:
    return not path.is_symlink() and (path / "manifest.json").is_file()


def _list_row(run: RunFolder) -> tuple[str, ...]:
    try:
        command = str(run.manifest().get("command", "?")).removeprefix("lab ")
        outcome = _say_outcome(run)
    except UserError:
        command, outcome = "?", "cannot be read"
    if len(command) > _NARROW:
        command = command[: _NARROW - 3] + "..."
    return run.path.name, command, outcome


def _say_outcome(run: RunFolder) -> str:
    """In a few words."""
    if (run.path / "validate.json").is_file():
        return str(run.read("validate.json").get("outcome", "interrupted"))
    cells = run.summary()
    if not cells:
        return "see summary.md" if (run.path / "summary.md").is_file() else "interrupted"
    wrong = [c["cell"] for c in cells if c["verdict"] is not None and not c["as_expected"]]
    many = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    sealed = "" if (run.path / "hashes.json").is_file() else ", interrupted"
    if not wrong:
        return f"{many}, all as expected{sealed}"
    return f"{many}, {len(wrong)} not as expected{sealed}"
