"""`lab validate`: does this patch fix it, and break nothing else that we watch?

Rounds of fresh boots in one run's folder: in each round every cell boots once more, the kernel
without the patch beside the one with it, until what is clean is so to the wanted level.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import patchmail, validatetext
from lab.cellverdict import CellVerdict
from lab.config import GUEST_KINDS, LabConfig, MatrixConfig, VariationConfig
from lab.decision import Decision, Outcome, Pair, decide, in_question
from lab.errors import UserError
from lab.evidence import RunFolder
from lab.files import sha256_of, write_atomic
from lab.kernelconfig import KernelConfig
from lab.patchfit import Fitted, FolderTree, GitTree, Tree
from lab.plan import cell_id, cells
from lab.terminal import Terminal
from lab.validatetext import Row
from lab.verdict import Verdict
from lab.xenconfig import XenConfig

BEFORE, AFTER = "unpatched", "patched"
_MIN_ROUNDS = 3  # fresh boots of every cell, at least
_FILE = "validate.json"


Names = Sequence[tuple[str, str, str]]  # of a pair; its cells' ids without and with the patch


@dataclass(frozen=True)
class Request:
    """What is to be validated: a patch on a kernel's tree or on Xen, or two kernels as they are."""

    tree: Path | None = None
    rev: str | None = None
    patch: Path | None = None
    fuzz: int = 0
    loose: bool = False
    images: tuple[Path, Path] | None = None  # without and with the patch
    xen: str | None = None  # a Debian source package or a tree of Xen's
    kernels: tuple[str, ...] = ()  # for Xen: names from lab.yaml; the first one is affected
    kinds: tuple[str, ...] = ()  # KIND or KIND~VARIATION; all kinds by default


@dataclass(frozen=True)
class Subject:
    """The request prepared: what the cells are made of, and what was done to the patch."""

    title: str
    config: LabConfig
    names: Names
    notes: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def validate(config: LabConfig, path: Path, request: Request, repeat: str) -> int:
    """The whole command; returns its exit code."""
    names = _names(request, config)
    fitted = _fitted(request)
    folder = RunFolder.create()
    subject = _subject(config, request, names, fitted, folder)
    folder.write_text("lab.yaml", path.read_text())
    folder.write(_FILE, {"repeat": repeat, "title": subject.title, "names": subject.names,
                         "notes": subject.notes, "facts": subject.facts})  # fmt: skip
    folder.write("validate-config.json", subject.config.model_dump(mode="json"))
    return _rounds(folder, subject, repeat)


def resume(path: Path) -> int:
    """`lab validate --resume`: the rounds go on where they were; what was booted stays."""
    folder = RunFolder(path.resolve())
    if not (folder.path / _FILE).is_file():
        raise UserError(f"{path}: is no folder of `lab validate` (it has no {_FILE})")
    known = folder.read(_FILE)
    config = LabConfig.model_validate(folder.read("validate-config.json"))
    names = [(name, before, after) for name, before, after in known["names"]]
    subject = Subject(known["title"], config, names, tuple(known["notes"]), known["facts"])
    return _rounds(folder, subject, str(known["repeat"]))


def configured(
    config: LabConfig, names: Names, changes: dict[str, Any], affected: Sequence[str]
) -> LabConfig:
    """The user's configuration with ``changes`` and only the pairs' cells: pure."""
    matrix = MatrixConfig(kernels=[], include=[cell for _, *pair in names for cell in pair])
    return config.model_copy(
        update={**changes, "matrix": matrix, "expect": {"corrupts": list(affected)}}
    )


def of_kernels(config: LabConfig, names: Names, before: Any, after: Any) -> LabConfig:
    """Two kernels, the same otherwise."""
    kernels = {BEFORE: before, AFTER: after}
    affected = [cell for name, cell, _ in names if in_question(name)]
    return configured(config, names, {"kernels": kernels}, affected)


def of_xens(config: LabConfig, names: Names, first: str, before: Any, after: Any) -> LabConfig:
    """Two hypervisors under the user's kernels, of which the first is affected."""
    variations = {name: VariationConfig(xen=name) for name in (BEFORE, AFTER)}
    affected = [cell for name, cell, _ in names if in_question(name) and f"-{first}~" in cell]
    changes = {"xens": {BEFORE: before, AFTER: after}, "variations": variations}
    return configured(config, names, changes, affected)


def _fitted(request: Request) -> list[Fitted]:
    """The patch made to fit the tree, before anything is built or booted."""
    if request.patch is None:
        return []
    patches = patchmail.read(request.patch)
    if request.tree is None:  # for Xen: fitted when its source is there
        return []
    return patchmail.fit(patches, _tree(request.tree, request.rev), request.fuzz, request.loose)


def _tree(tree: Path, rev: str | None) -> Tree:
    if not tree.is_dir():
        raise UserError(f"--tree {tree}: is no folder; give a kernel source tree")
    return FolderTree(tree) if rev is None else GitTree(tree, rev)


def _subject(
    config: LabConfig, request: Request, names: Names, fitted: list[Fitted], folder: RunFolder
) -> Subject:
    """Keep the patch as it came and as it is applied, and name what is compared."""
    if request.images is not None:
        before, after = (KernelConfig(image=image.resolve()) for image in request.images)
        facts = {"unpatched kernel": str(before.image), "patched kernel": str(after.image)}
        made = of_kernels(config, names, before, after)
        return Subject("a kernel with a change", made, names, (), facts)
    assert request.patch is not None
    strict = _kept(request.patch, fitted, folder)
    title = next((p.subject for p in patchmail.read(request.patch) if p.subject), "")
    title = title or request.patch.name
    facts = {"patch": str(request.patch)}
    notes = tuple(note for one in fitted for note in one.notes)
    if request.xen is not None:
        patches = [request.patch.resolve()]
        source = _xen_source(request.xen, request.rev)
        facts["Xen"] = request.xen + (f" at {request.rev}" if request.rev else "")
        made = of_xens(
            config, names, request.kernels[0], XenConfig.model_validate(source),
            XenConfig.model_validate({**source, "patches": patches}),
        )  # fmt: skip
        return Subject(title, made, names, notes, facts)
    assert request.tree is not None
    entry = {"tree": request.tree.resolve(), "rev": request.rev}
    facts["tree"] = str(entry["tree"]) + (f" at {request.rev}" if request.rev else "")
    facts["patch as applied, sha256"] = sha256_of(*(path.read_bytes() for path in strict))
    made = of_kernels(
        config, names, KernelConfig.model_validate(entry),
        KernelConfig.model_validate({**entry, "patches": strict}),
    )  # fmt: skip
    return Subject(title, made, names, notes, facts)


def _kept(patch: Path, fitted: list[Fitted], folder: RunFolder) -> list[Path]:
    """The patch as it came, and the strict ones that are applied."""
    kept = folder.path / "patch"
    came = kept / "as-it-came"
    if patch.is_dir():
        shutil.copytree(patch, came)
    else:
        came.mkdir(parents=True)
        shutil.copy(patch, came)
    strict = []
    for number, one in enumerate(fitted, 1):
        strict.append(kept / f"{number:04d}.patch")
        write_atomic(strict[-1], one.text.encode(errors="surrogateescape"))
    return strict


def _xen_source(given: str, rev: str | None) -> dict[str, Any]:
    if "/" in given or Path(given).is_dir():
        return {"tree": Path(given).resolve(), "rev": rev}
    return {"source": given}


def _names(request: Request, config: LabConfig) -> list[tuple[str, str, str]]:
    """Each pair once; among them one in which the bug can be."""
    kinds = list(dict.fromkeys(request.kinds or GUEST_KINDS))
    for kind in kinds:
        guest, _, variation = kind.partition("~")
        if guest not in GUEST_KINDS:
            raise UserError(f"--cell {kind!r}: should be KIND or KIND~VARIATION, KIND one of "
                            f"{', '.join(GUEST_KINDS)}")  # fmt: skip
        if variation and (variation not in config.variations or request.xen):
            raise UserError(f"--cell {kind!r}: {variation!r} is not under 'variations:'")
    if not any(in_question(kind) for kind in kinds):
        raise UserError("--cell: one of them should be pv or dom0: nothing else can corrupt")
    if request.xen is not None and (request.fuzz or request.loose):
        raise UserError(
            "--fuzz and --ignore-whitespace are for a kernel's patch: one to Xen must fit"
        )
    if request.xen is None:
        return [(kind, *_kernel_ids(kind)) for kind in kinds]
    unknown = [name for name in request.kernels if name not in config.kernels]
    if unknown or not request.kernels:
        raise UserError(f"--kernel {' '.join(unknown)}: should be names under 'kernels:' "
                        f"({', '.join(config.kernels)}), the affected one first")  # fmt: skip
    return [
        (f"{kind}-{kernel}", cell_id(kind, kernel, BEFORE), cell_id(kind, kernel, AFTER))
        for kernel in request.kernels
        for kind in kinds
        if kind != "native"
    ]


def _kernel_ids(kind: str) -> tuple[str, str]:
    guest, _, variation = kind.partition("~")
    suffix = (variation,) if variation else ()
    return cell_id(guest, BEFORE, *suffix), cell_id(guest, AFTER, *suffix)


def round_config(config: LabConfig, number: int) -> LabConfig:
    """For round ``number``: one boot of each cell more than after the round before."""
    boots = min(number, config.confidence.max_boots)
    limits = {"control_boots": max(2, boots), "max_boots": boots}
    confidence = config.confidence.model_copy(update=limits)
    return config.model_copy(update={"trials": boots, "confidence": confidence})


def paired(names: Names, outcomes: Sequence[CellVerdict]) -> list[Row]:
    """The cells without and with the patch, by the pair's name."""
    by_id = {found.cell.id: found for found in outcomes}
    return [(name, by_id[before], by_id[after]) for name, before, after in names]


def judged(rows: Sequence[Row]) -> Decision:
    """What the cells say of the patch so far."""
    return decide([Pair(name, a.verdict, b.verdict) for name, a, b in rows])


def enough(rows: Sequence[Row], number: int, most: int) -> bool:
    """Whether a further round would tell nothing new: pure."""
    decision = judged(rows)
    if decision.outcome is Outcome.LAB_ERROR or number >= most:
        return True
    if decision.outcome in (Outcome.BREAKS, Outcome.DOES_NOT_FIX):
        # Unless it is not known yet whether the cell was clean before.
        return not any(
            b.verdict is Verdict.CORRUPTS and a.verdict is Verdict.VACUOUS for _, a, b in rows
        )
    if number < _MIN_ROUNDS:
        return False
    return not any(_unsure(found) for _, *both in rows for found in both)


def _unsure(found: CellVerdict) -> bool:
    """Vacuous only for want of exposure: every boot by itself was clean."""
    if found.verdict is not Verdict.VACUOUS:
        return False
    return all(trial.verdict in (Verdict.CLEAN, Verdict.LAB_ERROR) for trial in found.trials)


def _rounds(folder: RunFolder, subject: Subject, repeat: str) -> int:
    from lab.session import experiment

    config, most = subject.config, subject.config.confidence.max_boots
    by_id = {cell.id: cell for cell in cells(config)}
    chosen = [by_id[cell] for _, *pair in subject.names for cell in pair]
    # A round that was cut off is gone on with: its boots are there.
    number = max([1, *(len(folder.trials(cell.id)) for cell in chosen)])
    try:
        while True:
            terminal = Terminal()
            terminal.say(f"round {number}: {len(chosen)} cells, evidence in {folder.path}")
            outcomes = experiment(
                round_config(config, number), chosen, folder, terminal, False, repeat
            )
            rows = paired(subject.names, outcomes)
            if enough(rows, number, most):
                break
            number += 1
    except KeyboardInterrupt:
        Terminal().say(f"interrupted; go on with: lab validate --resume {folder.path}")
        return 130
    return _close(folder, subject, rows, number, repeat)


def _close(
    folder: RunFolder, subject: Subject, rows: Sequence[Row], rounds: int, repeat: str
) -> int:
    decision = judged(rows)
    facts = {**subject.facts, **_seen(folder), "rounds": f"{rounds} of fresh boots, interleaved"}
    told = [{"cell": n, "effect": Pair(n, a.verdict, b.verdict).effect} for n, a, b in rows]
    summary = {"outcome": decision.outcome.value, "reason": decision.reason, "rounds": rounds,
               "cells": told}  # fmt: skip
    folder.write(_FILE, {**folder.read(_FILE), **summary})
    text = validatetext.page(subject.title, decision, rows, facts, subject.notes, repeat)
    folder.write_text("validate.txt", text)
    outcomes = [found for _, *both in rows for found in both]
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
    xens = supplies.get("xens") or {}
    found = {
        **{f"{n} Xen": f"{x['package']}, {x['version']}" for n, x in xens.items()},
        "Xen": f"{xen['package']} {xen['version']}" if xen else "" if xens else hypervisor,
        "kernels": ", ".join(f"{n} {k['version']}" for n, k in supplies["kernels"].items()),
        "QEMU": f"{supplies['qemu']['version']}, {supplies['accelerator']['name']}",
    }
    return {key: value for key, value in found.items() if value}
