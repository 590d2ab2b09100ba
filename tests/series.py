# SPDX-License-Identifier: GPL-2.0-or-later
"""Real kernels of each series, built and run without anybody there: `python -m tests.series TREES`.

TREES is a YAML list, or a folder whose subfolders are Linux trees or git repositories:

    - {series: 2.6.32, tree: /path/to/linux, rev: v2.6.32}
    - {series: 2.6.32-patched, tree: /path/to/linux, rev: v2.6.32, patch: /path/to/fix.patch}

Each is built by the lab's own builder and run as every guest kind that it can be, with a small
budget. What is known of a series goes to FOLDER/SERIES.json, and all of it to FOLDER/series.md. A
second call goes on where the first was killed: what has a verdict is not run again.

Ends with 1 when a cell did not show what its series should. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.config.kinds import GuestKind
from lab.console.release import Release, read_release
from lab.errors import LabError, UserError
from lab.evidence.outcomes import read_outcomes
from lab.evidence.run import RunFolder
from lab.exitcodes import Exit
from lab.kernel.kernel import Kernel
from lab.kernel.make import BuildFailed
from lab.kernel.tree import build_tree, find_source
from lab.system.files import write_atomic
from lab.system.process import tie
from lab.verdict.cell import NOT_YET, CellVerdict
from tests.helpers.project import PROJECT

KINDS: tuple[GuestKind, ...] = ("native", "dom0", "pv", "hvm")
# docs/kernels.md and docs/architecture.md have the why of each boundary.
AFFECTED: tuple[Release, Release] = ((2, 6, 26), (4, 2, 0))  # from, and the first that is not
_SLAB_BEFORE: Release = (2, 6, 29)  # its SLUB never gives way in the allocation
_FIRST: dict[GuestKind, Release] = {"pv": (2, 6, 27), "dom0": (2, 6, 37)}
# These decide about XSAVE before they read eagerfpu=off: lazy only where Xen has no XSAVE.
_NOXSAVE: tuple[Release, Release] = ((4, 2, 0), (4, 6, 0))
SLAB = "CONFIG_SLAB=y\n# CONFIG_SLUB is not set\n"
# Small, and said in the table's head: a kernel a tenth as bad as the control is caught at 99 %.
BUDGET = {"level": 1.0e-2, "safety": 10, "control_boots": 8, "control_hits": 20, "max_boots": 5}
TRIALS, SECONDS = 3, 12  # three short boots say more than one long one (docs/confidence.md)


@dataclass(frozen=True)
class Tree:
    """One release, and where it is. ``series`` is its name in files and cells. A ``patch`` should
    end the corruption.
    """

    series: str
    tree: str
    rev: str | None = None
    patch: str | None = None


@dataclass(frozen=True)
class Shown:
    """What one guest kind showed. ``verdict`` "": it cannot be run, and ``reason`` says why."""

    verdict: str
    as_expected: bool
    windows: int = 0
    hits: int = 0
    boots: int = 0
    reason: str = ""


@dataclass
class Outcome:
    """All that is known of a series so far. ``reason``: why nothing was run."""

    series: str
    version: str = ""
    compiler: str = ""
    fixups: list[str] = field(default_factory=list)
    seconds: float = 0.0
    reason: str = ""
    run: str = ""  # the folder of the newest run that came to its end
    kinds: dict[str, Shown] = field(default_factory=dict)

    def lacks(self, kinds: Iterable[GuestKind]) -> list[GuestKind]:
        """Kinds without a verdict so far; a fault of the lab does not count."""
        shown = {kind: self.kinds.get(kind) for kind in kinds}
        return [kind for kind, one in shown.items() if one is None or one.verdict == "LAB_ERROR"]

    @property
    def as_expected(self) -> bool:
        return not self.reason and all(shown.as_expected for shown in self.kinds.values())


def read_trees(path: Path) -> list[Tree]:
    """The trees of a YAML list or of a folder; UserError for anything else."""
    if path.is_dir():
        return [Tree(one.name, str(one)) for one in sorted(path.iterdir()) if one.is_dir()]
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
        made = [Tree(**{key: str(value) for key, value in row.items()}) for row in rows]
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: should be a folder, or a YAML list of series, tree, rev and patch ({error})"
        ) from None
    names = [tree.series for tree in made]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}: the series {twice[0]} is there twice")
    return made


def is_affected(release: Release) -> bool:
    return AFFECTED[0] <= release < AFFECTED[1]


def is_eager_anyway(release: Release) -> bool:
    """Whether it is lazy only on a Xen without XSAVE, and natively not at all."""
    return _NOXSAVE[0] <= release < _NOXSAVE[1]


def list_kinds(release: Release, wanted: Iterable[GuestKind] = KINDS) -> list[GuestKind]:
    """The guest kinds that 64-bit kernels of this release can be."""
    return [kind for kind in wanted if release >= _FIRST.get(kind, (0, 0, 0))]


def needs_slab(release: Release) -> bool:
    return release < _SLAB_BEFORE


def name_cells(tree: Tree, release: Release, kinds: Iterable[GuestKind]) -> list[str]:
    """The ids of a series' cells."""
    variation = "~noxsave" if is_eager_anyway(release) else ""
    return [f"{kind}-{tree.series}{variation if kind != 'native' else ''}" for kind in kinds]


def make_config(
    tree: Tree, release: Release, kinds: Sequence[GuestKind], fragments: Sequence[Path]
) -> dict[str, Any]:
    """A lab.yaml for one series: what it should show, and the control beside it.

    A kernel that should be clean is measured by the lab's own control.
    """
    cells = dict(zip(kinds, name_cells(tree, release, kinds), strict=True))
    affected = is_affected(release) and tree.patch is None
    corrupt = [cells[kind] for kind in kinds if affected and kind in ("dom0", "pv")]
    either = [cells[kind] for kind in kinds if kind == "native" and is_eager_anyway(release)]
    clean = [cell for cell in cells.values() if cell not in (*corrupt, *either)]
    kernel: dict[str, Any] = {"tree": tree.tree}
    kernel |= {"rev": tree.rev} if tree.rev is not None else {}
    kernel |= {"patches": [tree.patch]} if tree.patch is not None else {}
    kernel |= {"fragments": [str(path) for path in fragments]} if fragments else {}
    control = [] if corrupt else ["dom0-control-bad"]
    kernels = {tree.series: kernel, **({"control-bad": {"control": "bad"}} if control else {})}
    expect = {"corrupts": corrupt + control, "clean": clean, "any": either}
    return {
        "xens": {"noxsave": {"args": "xsave=0"}},
        "variations": {"noxsave": {"xen": "noxsave"}},
        "kernels": kernels,
        "stress": {"seconds": SECONDS},
        "trials": TRIALS,
        "confidence": BUDGET,
        "matrix": {"guests": [], "include": [*cells.values(), *control]},
        "expect": {word: ids for word, ids in expect.items() if ids},
    }


def make_shown(cell: CellVerdict) -> Shown:
    """What the table needs of a cell."""
    if cell.verdict is None:
        return Shown("", False, reason=cell.reason)
    return Shown(
        cell.verdict.value, cell.as_expected,
        cell.windows, cell.hits, len(cell.trials), cell.reason,
    )  # fmt: skip


def write_table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: a row for each series, and below it the reasons for what is missing or odd."""
    lines = [
        f"CLEAN: at the level {BUDGET['level']:g}, against a kernel {BUDGET['safety']} times less "
        "bad than the control.",
        "",
        "| series | version | compiler | fix-ups | build s | " + " | ".join(KINDS) + " |",
        "|---|---|---|---:|---:|" + "---|" * len(KINDS),
    ]
    notes: list[str] = []
    for outcome in outcomes:
        fields = [
            outcome.series, outcome.version or "?", _shorten(outcome.compiler),
            str(len(outcome.fixups)), f"{outcome.seconds:.0f}" if outcome.seconds else "",
            *(_write_kind(outcome, kind) for kind in KINDS),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(fields)} |")
        notes += _list_notes(outcome)
    return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"


def _shorten(compiler: str) -> str:
    """12.2.0 of `gcc-12 (Debian 12.2.0-14) 12.2.0`."""
    return f"gcc {compiler.split()[-1]}" if compiler else ""


def _write_kind(outcome: Outcome, kind: GuestKind) -> str:
    shown = outcome.kinds.get(kind)
    if shown is None:
        known = read_release(outcome.version)
        cannot = known != (0, 0, 0) and kind not in list_kinds(known)
        return "cannot" if cannot else "not run"
    if not shown.verdict:
        return "cannot"
    figures = f"{shown.hits:,} of {shown.windows:,}"
    odd = "" if shown.as_expected else " (!)"
    return f"{shown.verdict} {figures}{odd}"


def _list_notes(outcome: Outcome) -> list[str]:
    notes = [f"- {outcome.series}: {outcome.reason}"] if outcome.reason else []
    return notes + [
        f"- {outcome.series} {kind}: {shown.verdict or 'cannot'}: {shown.reason}"
        for kind, shown in outcome.kinds.items()
        if not shown.as_expected or shown.verdict == "VACUOUS"
    ]


@dataclass
class Bench:
    """The folder of all outcomes."""

    folder: Path
    kinds: Sequence[GuestKind]
    limit: float  # seconds of a series' run, at most

    def load(self, tree: Tree) -> Outcome:
        path = self.folder / f"{tree.series}.json"
        if not path.is_file():
            return Outcome(tree.series)
        stored = json.loads(path.read_text())
        kinds = {kind: Shown(**shown) for kind, shown in stored.pop("kinds").items()}
        return Outcome(**stored, kinds=kinds)

    def keep(self, outcome: Outcome) -> None:
        write_atomic(self.folder / f"{outcome.series}.json", json.dumps(asdict(outcome), indent=1))

    def work(self, tree: Tree) -> Outcome:
        """Build and run it, or as much of it as is not done."""
        outcome = self.load(tree)
        if outcome.version and not outcome.lacks(self._list_kinds(outcome)):
            return outcome
        outcome.reason = ""
        try:
            self._work(tree, outcome)
        except BuildFailed as error:
            outcome.reason = f"does not build: {error.first_error}"
        except (LabError, UserError) as error:
            outcome.reason = str(error)
        self.keep(outcome)
        return outcome

    def _work(self, tree: Tree, outcome: Outcome) -> None:
        release = find_source(tree.tree, tree.rev).release
        outcome.version = ".".join(str(number) for number in release)
        fragments = self._write_fragments() if needs_slab(release) else []
        patches = [Path(tree.patch)] if tree.patch is not None else []
        kernel = build_tree(tree.series, tree.tree, tree.rev, patches, _say, fragments=fragments)
        note_build(outcome, kernel)
        self.keep(outcome)
        made = make_config(tree, release, list_kinds(release), fragments)
        config = self.folder / f"{tree.series}.yaml"
        write_atomic(config, yaml.safe_dump(made))
        missing = outcome.lacks(self._list_kinds(outcome))
        self._run(tree, ["-c", str(config), *name_cells(tree, release, missing)], outcome)

    def _list_kinds(self, outcome: Outcome) -> list[GuestKind]:
        return list_kinds(read_release(outcome.version), self.kinds)

    def _write_fragments(self) -> list[Path]:
        path = self.folder / "slab.config"
        write_atomic(path, SLAB)
        return [path]

    def _run(self, tree: Tree, words: list[str], outcome: Outcome) -> None:
        """Run cells in a process of their own: `lab run`, or --resume where one was cut off."""
        runs = self.folder / "runs" / tree.series
        newest = runs / "latest"
        began = (newest / "manifest.json").is_file()
        if began and str(newest.resolve()) != outcome.run:
            words = ["--resume", str(newest.resolve())]
        else:
            words = [*words, "--results", str(runs)]
        log = self.folder / f"{tree.series}.log"
        _say(f"{tree.series}: lab run {' '.join(words)}")
        with log.open("a") as output:
            argv = tie([sys.executable, "-m", "lab", "run", *words], "TERM")
            child = subprocess.Popen(argv, cwd=PROJECT, stdout=output, stderr=output)
            try:
                code: int | None = child.wait(self.limit)
            except subprocess.TimeoutExpired:
                child.terminate()  # Ctrl-C is ignored by what a shell started in the background
                child.wait()
                code = None
        if not (newest / "summary.json").is_file():
            raise LabError(f"lab run ended with {code}: {find_last(log.read_text())}")
        note_cells(outcome, tree, read_outcomes(RunFolder.open(newest)))
        if code is None or code == Exit.INTERRUPTED:
            outcome.reason = f"cut off after {self.limit / 60:.0f} minutes"
        else:
            outcome.run = str(newest.resolve())


def note_build(outcome: Outcome, kernel: Kernel) -> None:
    """What the builder's provenance says."""
    outcome.compiler = str(kernel.provenance["compiler"])
    outcome.fixups = list(kernel.provenance["fixups"])
    outcome.seconds = float(kernel.provenance["seconds"])


def note_cells(outcome: Outcome, tree: Tree, cells: Sequence[CellVerdict]) -> None:
    """By guest kind; the control of another kernel is left out."""
    for cell in cells:
        own = cell.cell.kernel == tree.series and cell.reason != NOT_YET
        # A cell that came along as a control again does not replace what it has shown.
        if own and outcome.lacks([cell.cell.guest]):
            outcome.kinds[cell.cell.guest] = make_shown(cell)


def find_last(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """Every tree of the list; 1 when one did not show what it should."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("trees", type=Path, help="a YAML list or a folder")
    parser.add_argument("--folder", type=Path, default=Path("series"), help="of the outcomes")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--minutes", type=float, default=20, help="of a series' run, at most")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(args.folder.resolve(), args.kinds, 60 * args.minutes)
    try:
        trees = read_trees(args.trees)
    except UserError as error:
        _say(str(error))
        return 2
    for tree in trees:
        _say(f"{tree.series}: load {os.getloadavg()[0]:.1f}")
        outcome = bench.work(tree)
        _say(f"{tree.series}: {'as expected' if outcome.as_expected else outcome.reason or 'odd'}")
        write_atomic(bench.folder / "series.md", write_table([bench.load(one) for one in trees]))
    return int(not all(bench.load(tree).as_expected for tree in trees))


if __name__ == "__main__":
    sys.exit(main())
