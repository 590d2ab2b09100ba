# SPDX-License-Identifier: GPL-2.0-or-later
"""From a results folder to runs and results: what the index is made of.

A run is a folder with a manifest.json, or the stone of one that was removed. A bisect's sessions
are not runs of their own here: they boot the same control's kernel, whose boots are links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.config.cellname import OWN_HOSTS, fits
from lab.config.cells import Cell, control_of
from lab.errors import UserError
from lab.history.inputs import find_inputs
from lab.history.result import Result, Run
from lab.history.stone import FILES, FOLDER, SEALED, read_folder, read_stone
from lab.verdict.cell import NOT_YET
from lab.verdict.severity import Verdict

_LOOKED_AT = (*FILES, SEALED)
_NAME = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z.*")


@dataclass(frozen=True)
class Record:
    """A run with its results. ``stamp``: differs when a file that it was read from was written
    again. ``labels``: what lab.yaml called each result's failure then.
    """

    stamp: str
    run: Run
    results: tuple[Result, ...] = ()
    labels: tuple[str | None, ...] = ()


def find_runs(results: Path) -> Iterator[tuple[Path, str]]:
    """The folders of runs, and the stones of removed ones whose folders are gone; each with its
    stamp.
    """
    found: set[str] = set()
    folders = sorted(results.iterdir()) if results.is_dir() else []
    for path in folders:
        if not path.is_symlink() and not path.name.startswith("."):
            stamp = _stamp(path)
            if stamp:
                found.add(path.name)
                yield path, stamp
    for path in sorted((results / FOLDER).glob("*.json")):
        if path.stem not in found and not path.name.startswith("."):
            yield path, _stamp_of(path)


def _stamp(folder: Path) -> str:
    """Empty where the folder is not a run's."""
    stamps = [_stamp_of(folder / name) for name in _LOOKED_AT]
    return " ".join(stamps) if stamps[0] else ""


def _stamp_of(path: Path) -> str:
    """Every file is written anew and renamed, so its inode changes too. Empty without a file."""
    try:
        state = path.stat()
    except OSError:
        return ""
    return f"{state.st_ino}:{state.st_size}:{state.st_mtime_ns}"


def read_run(results: Path, path: Path, stamp: str) -> Record:
    """A run from its folder or its stone. One that cannot be read has no results."""
    removed = path.suffix == ".json" and path.parent.name == FOLDER
    name = path.stem if removed else path.name
    try:
        content = read_stone(path) if removed else read_folder(path)
        files = content["files"]
        run = _make_run(name, str(path.relative_to(results)), files, bool(content["sealed"]))
        run = replace(run, folder=name, removed=True) if removed else run
        pairs = list(_read_results(run, files, content))
    except (UserError, KeyError, TypeError, ValueError, AttributeError):
        return Record(stamp, Run(name, name, _read_time(name), removed=removed))
    return Record(stamp, run, tuple(r for r, _ in pairs), tuple(label for _, label in pairs))


def _make_run(name: str, folder: str, files: dict[str, Any], sealed: bool) -> Run:
    manifest = files["manifest.json"]
    seconds = sum(float(value) for value in files.get("timings.json", {}).values())
    return Run(
        name, folder, str(manifest.get("began") or _read_time(name)),
        _word(manifest, "night"), _word(manifest, "job"), str(manifest.get("command", "")),
        round(seconds, 2), sealed,
    )  # fmt: skip


def _word(manifest: dict[str, Any], key: str) -> str | None:
    found = manifest.get(key)
    return str(found) if found else None


def _read_time(name: str) -> str:
    """UTC from a folder's name, in the form of ISO 8601; empty where the name does not say."""
    found = _NAME.fullmatch(name)
    return "{}-{}-{}T{}:{}:{}Z".format(*found.groups()) if found else ""


def _read_results(
    run: Run, files: dict[str, Any], content: dict[str, Any]
) -> Iterator[tuple[Result, str | None]]:
    """In the plan's order; cells whose turn has not come are left out."""
    if "plan.json" not in files or "summary.json" not in files:
        return
    plan = [Cell(**cell) for cell in files["plan.json"]["cells"]]
    stored = {cell["cell"]: cell for cell in files["summary.json"]["cells"]}
    possible = [c for c in plan if stored.get(c.id, {}).get("verdict") is not None]
    for cell in plan:
        found = stored.get(cell.id)
        if found is None or (found["reason"] == NOT_YET and not found["trials"]):
            continue
        control = control_of(cell, possible)
        inputs = find_inputs(cell, files["manifest.json"], content.get("stress", ""))
        host = cell.host or OWN_HOSTS.get(content["host"], content["host"])
        label = next((text for glob, text in content["known"].items() if fits(cell.id, glob)), None)
        yield _make_result(run, cell, host, found, control.id if control else None, inputs), label


def _make_result(
    run: Run, cell: Cell, host: str, found: dict[str, Any], control: str | None,
    inputs: dict[str, str],
) -> Result:  # fmt: skip
    verdict = found["verdict"]
    return Result(
        run=run.id, folder=run.folder, began=run.began, cell=cell.id, host=host,
        verdict=Verdict(verdict) if verdict is not None else None,
        reason=str(found["reason"]), as_expected=bool(found["as_expected"]),
        night=run.night, job=run.job, expected=found.get("expect"),
        windows=int(found["windows"]), hits=int(found["hits"]),
        corruptions=int(found["corruptions"]), boots=_read_boots(found["trials"]),
        seconds=float(found["seconds"]), control=control, inputs=inputs,
    )  # fmt: skip


def _read_boots(trials: list[dict[str, Any]]) -> tuple[tuple[int, int], ...]:
    return tuple(
        (int(trial["windows"]), int(trial["hits"]))
        for trial in trials
        if trial["verdict"] != Verdict.LAB_ERROR.value
    )
