# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of one run: its table, its schedule, windows and hits of each boot, its claims."""

from __future__ import annotations

from typing import Any

from lab import __version__
from lab.config.lab import LabConfig
from lab.evidence.outcomes import read_outcomes
from lab.evidence.run import PAGES, RunFolder
from lab.evidence.trial import TrialFolder
from lab.page.curves import read_points, take_hits, take_windows
from lab.page.place import INDEX, link_trial
from lab.page.plot import draw_lines
from lab.page.render import render, write_style
from lab.page.schedule import KINDS, draw_schedule, read_spans
from lab.page.tone import BAD, GOOD, NONE, SIGNS, WARN, find_tone, name_verdict
from lab.page.trialpage import write_trial
from lab.report.table import explain, has_sure, how_sure
from lab.system.clock import now
from lab.system.files import write_atomic
from lab.verdict.cell import CellVerdict
from lab.verdict.claims import FAILS, HOLDS, decide
from lab.verdict.severity import Verdict

_FILES = (
    "summary.md", "summary.json", "junit.xml", "claims.txt", "plan.json", "lab.yaml",
    "config.json", "manifest.json", "timings.json", "schedule.json", "hashes.json",
)  # fmt: skip

_START = (("All runs", f"../../{PAGES}/{INDEX}"),)


def write_run(run: RunFolder, start: bool) -> None:
    """RUN/page: the run's page and one for each trial, from what is in its folder.

    ``start``: there is a page over all runs beside it, or there will be.
    """
    outcomes = read_outcomes(run)
    trials = {outcome.cell.id: _list_trials(run, outcome.cell.id) for outcome in outcomes}
    folder = run.path / PAGES
    write_style(folder)
    for outcome in outcomes:
        here = trials[outcome.cell.id]
        numbers = [trial.number for trial in here]
        for trial in here:
            name, text = write_trial(run, outcome, trial, numbers)
            write_atomic(folder / name, text, durable=False)
    write_atomic(folder / INDEX, _render(run, outcomes, trials, start), durable=False)


def _render(
    run: RunFolder, outcomes: list[CellVerdict], trials: dict[str, list[TrialFolder]], start: bool
) -> str:
    manifest = run.manifest()
    config = _read_config(run)
    spans = read_spans(run.read("schedule.json")) if _has(run, "schedule.json") else []
    return render(
        "run.html",
        title=f"Run {run.path.name}",
        trail=[*(_START if start else ()), (f"Run {run.path.name}", "")],
        version=__version__, written=now(),
        run=run.path.name, says=say_outcome(outcomes), tone=_find_tone(outcomes),
        facts=_list_facts(manifest),
        cells=[_cell(outcome, trials[outcome.cell.id]) for outcome in outcomes],
        sure=_explain(config, outcomes),
        claims=_decide_claims(config, outcomes) if config is not None else [],
        schedule=draw_schedule(spans) if spans else "", kinds=KINDS,
        spans=[(s.name, s.boot or "", s.state, f"{s.begin:.1f}", f"{s.end:.1f}") for s in spans],
        timings=[(name, f"{seconds:.1f} s") for name, seconds in run.timings().items()],
        curves=[c for o in outcomes if (c := _draw_curves(o, trials[o.cell.id]))],
        command=str(manifest.get("command", "lab run")),
        files=[*(name for name in _FILES if _has(run, name)), *_list_host_files(run)],
    )  # fmt: skip


def say_outcome(outcomes: list[CellVerdict]) -> str:
    """The run in one sentence."""
    if not outcomes:
        return "The run has no cells."
    many = "Its cell shows" if len(outcomes) == 1 else f"All {len(outcomes)} cells show"
    wrong = [o for o in outcomes if o.verdict is not None and not o.as_expected]
    impossible = sum(o.verdict is None for o in outcomes)
    beside = f" {impossible} could not be run here." if impossible else ""
    if impossible == len(outcomes):
        return "None of its cells could be run here."
    if not wrong:
        return f"{many} what {'it' if len(outcomes) == 1 else 'they'} should.{beside}".replace(
            f"All {len(outcomes)} cells", f"All {len(outcomes) - impossible} cells"
        )
    named = ", ".join(f"{o.cell.id} ({name_verdict(o.verdict)})" for o in wrong[:4])
    more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
    return f"{len(wrong)} of {len(outcomes)} cells not as expected: {named}{more}.{beside}"


def _find_tone(outcomes: list[CellVerdict]) -> str:
    tones = [find_tone(o.verdict, o.as_expected) for o in outcomes]
    return next((tone for tone in (BAD, WARN, GOOD) if tone in tones), NONE)


def _has(run: RunFolder, name: str) -> bool:
    return (run.path / name).is_file()


def _list_host_files(run: RunFolder) -> list[str]:
    """What the Xen host said, where the run had one."""
    host = run.path / "host"
    return [f"host/{path.name}" for path in sorted(host.glob("*.*")) if path.is_file()]


def _list_trials(run: RunFolder, cell: str) -> list[TrialFolder]:
    """Those that say what they were to be; a copy of a run may not be whole."""
    return [trial for trial in run.trials(cell) if (trial.path / "trial.json").is_file()]


def _read_config(run: RunFolder) -> LabConfig | None:
    """None where another version of the lab wrote it, with other keys."""
    try:
        return LabConfig.model_validate(run.read("config.json"))
    except ValueError:
        return None


def _explain(config: LabConfig | None, outcomes: list[CellVerdict]) -> str:
    """What the column "how sure" means."""
    if config is None or not has_sure(outcomes):
        return ""
    return explain(config.confidence.safety).capitalize()


def _list_facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    machine, supplies = manifest.get("machine", {}), manifest.get("supplies", {})
    qemu, accelerator = supplies.get("qemu", {}), supplies.get("accelerator", {})
    xen = supplies.get("xen") or {}
    cores = f"{machine['cores']} cores" if "cores" in machine else ""
    words = [str(machine.get("processor", "")), cores, str(machine.get("system", ""))]
    found = [
        ("began", str(manifest.get("began", ""))),
        ("machine", ", ".join(word for word in words if word)),
        ("QEMU", f"{qemu.get('version', '')} {accelerator.get('name', '')}".strip()),
        ("Xen", f"{xen.get('package', '')} {xen.get('version', '')}".strip()),
        ("lab", f"{manifest.get('lab', '')} rules {manifest.get('rules', '')}"),
        ("night", str(manifest.get("night") or "")),
        ("job", str(manifest.get("job") or "")),
    ]
    for name, kernel in supplies.get("kernels", {}).items():
        found.append((f"kernel {name}", f"{kernel.get('version', '')} {kernel.get('source', '')}"))
    return [(name, text) for name, text in found if text.strip()]


def _cell(outcome: CellVerdict, trials: list[TrialFolder]) -> dict[str, Any]:
    cell = outcome.cell
    known = outcome.verdict is not None
    return {
        "id": cell.id, "word": name_verdict(outcome.verdict),
        "tone": find_tone(outcome.verdict, outcome.as_expected),
        "expected": cell.expect or "clean",
        "windows": outcome.windows, "hits": outcome.hits,
        "sure": how_sure(outcome.miss if outcome.miss is not None else outcome.miss_so_far),
        "seconds": f"{outcome.seconds:.0f}" if known else "-",
        "reason": outcome.reason,
        "notes": list(dict.fromkeys(note for trial in outcome.trials for note in trial.notes)),
        "boots": [_boot(cell.id, trial) for trial in trials],
    }  # fmt: skip


def _boot(cell: str, trial: TrialFolder) -> dict[str, Any]:
    stored = (trial.verdict() or {}).get("verdict")
    verdict = Verdict(stored) if stored else Verdict.LAB_ERROR
    clean = verdict is Verdict.CLEAN
    return {
        "number": trial.number, "link": link_trial(cell, trial.number),
        "word": stored or "interrupted", "sign": "" if clean else SIGNS[verdict],
        # A boot has no expectation of its own: only its cell has.
        "tone": GOOD if clean else find_tone(verdict, as_expected=False),
    }  # fmt: skip


def _decide_claims(config: LabConfig, outcomes: list[CellVerdict]) -> list[dict[str, Any]]:
    tones = {HOLDS: GOOD, FAILS: BAD}
    return [
        {
            "verdict": made.verdict, "tone": tones.get(made.verdict, NONE),
            "says": claim.says, "source": claim.source, "seen": made.seen,
        }
        for name, claim in config.claims.items()
        for made in [decide(name, claim, outcomes)]
    ]  # fmt: skip


def _draw_curves(outcome: CellVerdict, trials: list[TrialFolder]) -> dict[str, Any] | None:
    boots = {trial.number: points for trial in trials if (points := read_points(trial.path))}
    if not boots:
        return None
    cell = outcome.cell.id
    windows = [take_windows(points) for points in boots.values()]
    hits = [take_hits(points) for points in boots.values()]
    seen = any(point.hits for points in boots.values() for point in points)
    return {
        "id": cell,
        "windows": draw_lines(f"Windows of {cell}", windows, "windows", "seconds"),
        "hits": draw_lines(f"Hits of {cell}", hits, "hits", "seconds") if seen else "",
        "rows": [
            (number, f"{p.seconds:.1f}", f"{p.windows:,}", f"{p.hits:,}")
            for number, points in boots.items()
            for p in points
        ],
    }
