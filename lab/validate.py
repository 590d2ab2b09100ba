"""`lab validate`: does this patch fix it, and break nothing else that we watch?

Rounds of fresh boots in one run's folder: in each round every cell boots once more, the kernel
without the patch beside the one with it, until what is clean is so to the wanted level.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab import patchmail, validatetext
from lab.cellverdict import CellVerdict
from lab.config import GUEST_KINDS, KernelConfig, LabConfig, MatrixConfig
from lab.decision import Decision, Outcome, Pair, decide
from lab.errors import UserError
from lab.evidence import RunFolder
from lab.files import sha256_of
from lab.patchfit import Fitted, FolderTree, GitTree, Tree
from lab.plan import Cell, cell_id, cells
from lab.terminal import Terminal
from lab.verdict import Verdict

BEFORE, AFTER = "unpatched", "patched"
_ASKED = ("dom0", "pv")
_MIN_ROUNDS = 3  # fresh boots of every cell, at least
_FILE = "validate.json"


@dataclass(frozen=True)
class Request:
    """What is to be validated: a patch on a tree, or two kernels that are there already."""

    tree: Path | None = None
    rev: str | None = None
    patch: Path | None = None
    fuzz: int = 0
    loose: bool = False
    images: tuple[Path, Path] | None = None  # without and with the patch
    kinds: tuple[str, ...] = ()  # KIND or KIND~VARIATION; all kinds by default


@dataclass(frozen=True)
class Subject:
    """The request prepared: both kernels' entries, and what was done to the patch."""

    request: Request
    title: str
    before: KernelConfig
    after: KernelConfig
    notes: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def validate(config: LabConfig, path: Path, request: Request, repeat: str) -> int:
    """The whole command; returns its exit code."""
    fitted = _fitted(request)
    names = _names(request.kinds, config)
    folder = RunFolder.create()
    subject = _subject(request, fitted, folder)
    folder.write_text("lab.yaml", path.read_text())
    folder.write(_FILE, {"request": asdict(request), "repeat": repeat, "title": subject.title,
                         "notes": subject.notes, "facts": subject.facts})  # fmt: skip
    made = configured(config, subject, names)
    folder.write("validate-config.json", made.model_dump(mode="json"))
    return _rounds(made, folder, subject, repeat, [])


def resume(path: Path) -> int:
    """`lab validate --resume`: the rounds go on where they were; what was booted stays."""
    folder = RunFolder(path.resolve())
    if not (folder.path / _FILE).is_file():
        raise UserError(f"{path}: is no folder of `lab validate` (it has no {_FILE})")
    known = folder.read(_FILE)
    config = LabConfig.model_validate(folder.read("validate-config.json"))
    kernels = config.kernels
    subject = Subject(
        Request(), known["title"], kernels[BEFORE], kernels[AFTER], tuple(known["notes"]),
        known["facts"],
    )  # fmt: skip
    return _rounds(config, folder, subject, str(known["repeat"]), [])


def configured(config: LabConfig, subject: Subject, names: Sequence[str]) -> LabConfig:
    """The user's configuration with the two kernels for its own, and their cells: pure."""
    pairs = [_ids(name) for name in names]
    ill = [before for name, (before, _) in zip(names, pairs, strict=True) if _is_asked(name)]
    return config.model_copy(
        update={
            "kernels": {BEFORE: subject.before, AFTER: subject.after},
            "matrix": MatrixConfig(kernels=[], include=[cell for pair in pairs for cell in pair]),
            "expect": {"corrupts": ill},
        }
    )


def _fitted(request: Request) -> list[Fitted]:
    """The patch made to fit the tree, before anything is built or booted."""
    if request.images is not None:
        return []
    assert request.patch is not None
    patches = patchmail.read(request.patch)
    return patchmail.fit(patches, _tree(request), request.fuzz, request.loose)


def _tree(request: Request) -> Tree:
    tree = request.tree
    assert tree is not None
    if not tree.is_dir():
        raise UserError(f"--tree {tree}: is no folder; give a kernel source tree")
    return FolderTree(tree) if request.rev is None else GitTree(tree, request.rev)


def _subject(request: Request, fitted: list[Fitted], folder: RunFolder) -> Subject:
    """Keep the patch as it came and as it is applied, and name both kernels."""
    if request.images is not None:
        before, after = (KernelConfig(image=image.resolve()) for image in request.images)
        facts = {"unpatched kernel": str(before.image), "patched kernel": str(after.image)}
        return Subject(request, "two kernels", before, after, (), facts)
    assert request.patch is not None
    assert request.tree is not None
    kept = folder.path / "patch"
    kept.mkdir()
    came = kept / "as-it-came"
    if request.patch.is_dir():
        shutil.copytree(request.patch, came)
    else:
        came.mkdir()
        shutil.copy(request.patch, came)
    strict = []
    for number, one in enumerate(fitted, 1):
        strict.append(kept / f"{number:04d}.patch")
        strict[-1].write_bytes(one.text.encode(errors="surrogateescape"))
    tree, rev = request.tree.resolve(), request.rev
    title = next((p.subject for p in patchmail.read(request.patch) if p.subject), "")
    facts = {
        "tree": f"{tree}" + (f" at {rev}" if rev else ""),
        "patch": str(request.patch),
        "patch as applied, sha256": sha256_of(*(path.read_bytes() for path in strict)),
    }
    notes = tuple(note for one in fitted for note in one.notes)
    source = {"tree": tree, "rev": rev}
    before = KernelConfig.model_validate(source)
    after = KernelConfig.model_validate({**source, "patches": strict})
    return Subject(request, title or request.patch.name, before, after, notes, facts)


def _names(kinds: Sequence[str], config: LabConfig) -> list[str]:
    """KIND or KIND~VARIATION, each once; among them one in which the bug can be."""
    names = list(dict.fromkeys(kinds or GUEST_KINDS))
    for name in names:
        kind, _, variation = name.partition("~")
        if kind not in GUEST_KINDS:
            raise UserError(f"--cell {name!r}: should be KIND or KIND~VARIATION, KIND one of "
                            f"{', '.join(GUEST_KINDS)}")  # fmt: skip
        if variation and variation not in config.variations:
            raise UserError(f"--cell {name!r}: {variation!r} is not under 'variations:'")
    if not any(_is_asked(name) for name in names):
        raise UserError("--cell: one of them should be pv or dom0: nothing else can corrupt")
    return names


def _is_asked(name: str) -> bool:
    return name.partition("~")[0] in _ASKED


def _ids(name: str) -> tuple[str, str]:
    kind, _, variation = name.partition("~")
    suffix = (variation,) if variation else ()
    return cell_id(kind, BEFORE, *suffix), cell_id(kind, AFTER, *suffix)


def round_config(config: LabConfig, number: int) -> LabConfig:
    """For round ``number``: one boot of each cell more than after the round before."""
    boots = min(number, config.confidence.max_boots)
    limits = {"control_boots": max(2, boots), "max_boots": boots}
    confidence = config.confidence.model_copy(update=limits)
    return config.model_copy(update={"trials": boots, "confidence": confidence})


def paired(outcomes: Sequence[CellVerdict]) -> list[tuple[str, CellVerdict, CellVerdict]]:
    """The cells without and with the patch, by KIND or KIND~VARIATION."""
    by_id = {found.cell.id: found for found in outcomes}
    result = []
    for found in outcomes:
        if found.cell.kernel == BEFORE:
            other = by_id[cell_id(found.cell.guest, AFTER, found.cell.variation)]
            name = found.cell.id.replace(f"-{BEFORE}", "", 1)
            result.append((name, found, other))
    return result


def judged(outcomes: Sequence[CellVerdict]) -> Decision:
    """What the cells say of the patch so far."""
    return decide([Pair(name, a.verdict, b.verdict) for name, a, b in paired(outcomes)])


def enough(outcomes: Sequence[CellVerdict], number: int, most: int) -> bool:
    """Whether a further round would tell nothing new: pure."""
    decision = judged(outcomes)
    pairs = paired(outcomes)
    if decision.outcome is Outcome.LAB_ERROR or number >= most:
        return True
    if decision.outcome in (Outcome.BREAKS, Outcome.DOES_NOT_FIX):
        # Unless it is not known yet whether the cell was clean before.
        return not any(
            b.verdict is Verdict.CORRUPTS and a.verdict is Verdict.VACUOUS for _, a, b in pairs
        )
    if number < _MIN_ROUNDS:
        return False
    return not any(_unsure(found) for _, *both in pairs for found in both)


def _unsure(found: CellVerdict) -> bool:
    """Vacuous only for want of exposure: every boot by itself was clean."""
    if found.verdict is not Verdict.VACUOUS:
        return False
    return all(trial.verdict in (Verdict.CLEAN, Verdict.LAB_ERROR) for trial in found.trials)


def _rounds(
    config: LabConfig, folder: RunFolder, subject: Subject, repeat: str, outcomes: list[CellVerdict]
) -> int:
    from lab.session import experiment

    chosen = _interleaved(cells(config))
    # A round that was cut off is gone on with: its boots are there.
    number = max([1, *(len(folder.trials(cell.id)) for cell in chosen)])
    try:
        while True:
            terminal = Terminal()
            terminal.say(f"round {number}: {len(chosen)} cells, evidence in {folder.path}")
            outcomes = experiment(
                round_config(config, number), chosen, folder, terminal, False, repeat
            )
            if enough(outcomes, number, config.confidence.max_boots):
                break
            number += 1
    except KeyboardInterrupt:
        Terminal().say(f"interrupted; go on with: lab validate --resume {folder.path}")
        return 130
    return _close(folder, subject, outcomes, number, repeat)


def _interleaved(chosen: list[Cell]) -> list[Cell]:
    """Each kind without the patch, then with it."""
    kinds = list(dict.fromkeys((cell.guest, cell.variation) for cell in chosen))
    return sorted(chosen, key=lambda c: (kinds.index((c.guest, c.variation)), c.kernel == AFTER))


def _close(
    folder: RunFolder, subject: Subject, outcomes: list[CellVerdict], rounds: int, repeat: str
) -> int:
    decision = judged(outcomes)
    facts = {**subject.facts, **_seen(folder), "rounds": f"{rounds} of fresh boots, interleaved"}
    known = folder.read(_FILE)
    rows = [
        {"cell": name, "unpatched": a.as_json(), "patched": b.as_json(),
         "effect": Pair(name, a.verdict, b.verdict).effect}
        for name, a, b in paired(outcomes)
    ]  # fmt: skip
    body: dict[str, Any] = {
        **known, "outcome": decision.outcome.value, "reason": decision.reason, "rounds": rounds,
        "cells": [{k: v for k, v in row.items() if k in ("cell", "effect")} for row in rows],
    }  # fmt: skip
    folder.write(_FILE, body)
    text = validatetext.page(
        subject.title, decision, paired(outcomes), facts, subject.notes, repeat
    )
    folder.write_text("validate.txt", text)
    folder.write_text("junit.xml", validatetext.junit(decision, outcomes))
    folder.seal()
    terminal = Terminal()
    terminal.say(f"\n{text}")
    terminal.say(f"evidence  {folder.path}\ncheck it  lab verify {folder.path}")
    return decision.outcome.exit_code


def _seen(folder: RunFolder) -> dict[str, str]:
    """Versions from the manifest of the run."""
    supplies = folder.manifest()["supplies"]
    xen = supplies.get("xen") or {}
    image = (supplies.get("dom0_image") or {}).get("packages", {})
    hypervisor = next((f"{n} {v}" for n, v in image.items() if n.startswith("xen-hyper")), "")
    found = {
        "Xen": f"{xen['package']} {xen['version']}" if xen else hypervisor,
        "kernels": ", ".join(f"{n} {k['version']}" for n, k in supplies["kernels"].items()),
        "QEMU": f"{supplies['qemu']['version']}, {supplies['accelerator']['name']}",
    }
    return {key: value for key, value in found.items() if value}
