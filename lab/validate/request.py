# SPDX-License-Identifier: GPL-2.0-or-later
"""The request of `lab validate` made into cells: the patch fitted, both sides named."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.config.cellname import PLAIN, cell_id
from lab.config.cells import on_hosts
from lab.config.kernel import KernelConfig
from lab.config.kinds import GUEST_KINDS
from lab.config.lab import LabConfig, MatrixConfig, VariationConfig
from lab.config.xen import XenConfig
from lab.errors import UserError
from lab.evidence.run import RunFolder
from lab.kernel.source import RevisionSource, TreeSource
from lab.patch import mail as patchmail
from lab.patch.fit import Fitted
from lab.system.files import sha256_of, write_atomic
from lab.validate.decision import in_question

BEFORE, AFTER = "unpatched", "patched"

Names = Sequence[tuple[str, str, str]]  # of a pair; its cells' ids without and with the patch


@dataclass(frozen=True)
class Request:
    """What is to be validated: a patch on a kernel's tree or on Xen, or two kernels as they are."""

    tree: str | None = None  # a folder or a git URL
    rev: str | None = None
    patch: Path | None = None
    fuzz: int = 0
    loose: bool = False
    images: tuple[Path, Path] | None = None  # without and with the patch
    xen: str | None = None  # a Debian source package or a tree of Xen's
    kernels: tuple[str, ...] = ()  # for Xen: names from lab.yaml; the first one is affected
    kinds: tuple[str, ...] = ()  # KIND or KIND~VARIATION, or either with @HOST; all by default
    hosts: tuple[str, ...] = ()  # names from hosts, for kinds without @HOST


@dataclass(frozen=True)
class Subject:
    """The request prepared: what the cells are made of, and what was done to the patch."""

    title: str
    config: LabConfig
    names: Names
    notes: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def configure(
    config: LabConfig, names: Names, changes: dict[str, Any], affected: Sequence[str]
) -> LabConfig:
    """The user's configuration with ``changes`` and only the pairs' cells: pure."""
    matrix = MatrixConfig(kernels=[], include=[cell for _, *pair in names for cell in pair])
    return config.model_copy(
        update={
            **changes,
            "matrix": matrix,
            "expect": {"corrupts": list(affected)},
            "known": {},
        }
    )


def of_kernels(config: LabConfig, names: Names, before: Any, after: Any) -> LabConfig:
    """Two kernels, the same otherwise."""
    kernels = {BEFORE: before, AFTER: after}
    affected = [cell for name, cell, _ in names if in_question(name)]
    return configure(config, names, {"kernels": kernels}, affected)


def of_xens(config: LabConfig, names: Names, first: str, before: Any, after: Any) -> LabConfig:
    """Two hypervisors under the user's kernels, the first of which is affected."""
    variations = {name: VariationConfig(xen=name) for name in (BEFORE, AFTER)}
    affected = [cell for name, cell, _ in names if in_question(name) and f"-{first}~" in cell]
    changes = {"xens": {BEFORE: before, AFTER: after}, "variations": variations}
    return configure(config, names, changes, affected)


def fit_patch(request: Request) -> list[Fitted]:
    """The patch fitted to the tree, before anything is built or booted."""
    if request.patch is None:
        return []
    patches = patchmail.read(request.patch)
    if request.tree is None:  # for Xen: fitted when its source is unpacked
        return []
    return patchmail.fit(patches, _source(request), request.fuzz, request.loose)


def _source(request: Request) -> RevisionSource | TreeSource:
    from lab.kernel.tree import find_source

    found = find_source(str(request.tree), request.rev)
    assert isinstance(found, RevisionSource | TreeSource)
    return found


def subject_of(
    config: LabConfig, request: Request, names: Names, patches: list[Fitted], folder: RunFolder
) -> Subject:
    """Keep the patch as it came and as it is applied, and name what is compared."""
    if request.images is not None:
        old, new = (image.resolve() for image in request.images)
        before, after = KernelConfig(image=old), KernelConfig(image=new, carries="")
        facts = {"unpatched kernel": str(before.image), "patched kernel": str(after.image)}
        made = of_kernels(config, names, before, after)
        return Subject("a kernel with a change", made, names, (), facts)
    assert request.patch is not None
    strict = _keep_patch(request.patch, patches, folder)
    title = next((p.subject for p in patchmail.read(request.patch) if p.subject), "")
    title = title or request.patch.name
    facts = {"patch": str(request.patch)}
    notes = tuple(note for one in patches for note in one.notes)
    if request.xen is not None:
        entry = _xen_source(request.xen, request.rev)
        facts["Xen"] = request.xen + (f" at {request.rev}" if request.rev else "")
        made = of_xens(
            config, names, request.kernels[0], XenConfig.model_validate(entry),
            XenConfig.model_validate({**entry, "patches": [request.patch.resolve()]}),
        )  # fmt: skip
        return Subject(title, made, names, notes, facts)
    source = _source(request)
    # The commit, not the branch, which may move meanwhile.
    commit = source.commit if isinstance(source, RevisionSource) else None
    place = request.tree if commit else str(Path(str(request.tree)).resolve())
    entry = {"tree": place, "rev": commit}
    facts["tree"] = f"{place}" + (f" at {request.rev or 'HEAD'} ({commit})" if commit else "")
    facts["patch as applied, sha256"] = sha256_of(*(path.read_bytes() for path in strict))
    made = of_kernels(
        config, names, KernelConfig.model_validate(entry),
        KernelConfig.model_validate({**entry, "patches": strict, "carries": ""}),
    )  # fmt: skip
    return Subject(title, made, names, notes, facts)


def _keep_patch(patch: Path, fitted: list[Fitted], folder: RunFolder) -> list[Path]:
    """Keep the patch as it came, and the strict ones that are applied; returns those."""
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


def names_of(request: Request, config: LabConfig) -> list[tuple[str, str, str]]:
    """Each pair once; at least one can have the bug."""
    kinds = list_kinds(request, config)
    for kind in kinds:
        _check_kind(kind, request, config)
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
        _xen_pair(kind, kernel)
        for kernel in request.kernels
        for kind in kinds
        if not kind.startswith("native")
    ]


def list_kinds(request: Request, config: LabConfig) -> list[str]:
    """KIND~VARIATION@HOST of each pair, once: pure. Kinds that were not asked for are left out
    where a host does not run them.
    """
    on_hosts(config, request.hosts or None)  # refuses a name of no host
    found = []
    for kind in request.kinds or GUEST_KINDS:
        for host in request.hosts or ("",):
            own = host in ("", config.own_host)
            if request.kinds or any(kind == k and config.runs(k, host) for k in GUEST_KINDS):
                found.append(kind if own or "@" in kind else f"{kind}@{host}")
    return list(dict.fromkeys(found))


def _check_kind(text: str, request: Request, config: LabConfig) -> None:
    kind, at, host = text.partition("@")
    word, _, variation = kind.partition("~")
    guest = next((known for known in GUEST_KINDS if known == word), None)
    if guest is None:
        raise UserError(
            f"--cell {text!r}: should be KIND or KIND~VARIATION, KIND one of "
            f"{', '.join(GUEST_KINDS)}, with @HOST behind it where one is meant"
        )
    if variation and (variation not in config.variations or request.xen):
        raise UserError(f"--cell {text!r}: {variation!r} is not under 'variations:'")
    if at:
        on_hosts(config, [host])
        if not config.runs(guest, host):
            raise UserError(f"--cell {text!r}: {config.say_lack(guest, host)}")


def _xen_pair(kind: str, kernel: str) -> tuple[str, str, str]:
    guest, at, host = kind.partition("@")
    before, after = (cell_id(guest, kernel, side, host) for side in (BEFORE, AFTER))
    return f"{guest}-{kernel}{at}{host}", before, after


def _kernel_ids(kind: str) -> tuple[str, str]:
    kind, _, host = kind.partition("@")
    guest, _, variation = kind.partition("~")
    before, after = (cell_id(guest, k, variation or PLAIN, host) for k in (BEFORE, AFTER))
    return before, after
