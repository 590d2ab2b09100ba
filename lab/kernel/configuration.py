# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's configuration step: allnoconfig with what is wanted on top, and what it made of it.

From below: a whole configuration where one is given, cut down; the lab's fragments; the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.kernel import baseconfig, kconfig, trimming
from lab.kernel.baseconfig import KEPT
from lab.kernel.make import BuildFailed, attempt
from lab.kernel.spec import BuildSpec
from lab.kernel.worktree import Worktree
from lab.system.files import write_atomic

Report = Callable[[str], None]


@dataclass(frozen=True)
class Configured:
    """What came out: ``left_out`` of the base; ``notes``; ``facts`` for the provenance.

    ``cut``: what of a whole configuration is not in the kernel, as a file.
    """

    left_out: list[str]
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    cut: str | None = None


@dataclass(frozen=True)
class _Wanted:
    """What allnoconfig is given: all of it, what of it the lab wants, what must take."""

    every: dict[str, str]
    base: dict[str, str]
    must: dict[str, str]
    left_out: list[str]
    known: Mapping[str, set[str]]


def configure(
    spec: BuildSpec,
    tree: Worktree,
    argv: list[str],
    log: Path,
    report: Report,
    more: Sequence[str] = (),
) -> Configured:
    """Make the .config in the object folder; BuildFailed where it is of no use.

    ``more``: options that must be on too.
    """
    config, stamp = tree.obj / ".config", tree.folder / "configured"
    wanted = _gather(spec, tree.src, dict.fromkeys(more, "y"))
    mark = " ".join([spec.key(), *more])
    if not config.exists() or not stamp.exists() or stamp.read_text() != mark:
        stamp.unlink(missing_ok=True)
        file = tree.folder / "fragments.config"
        write_atomic(file, kconfig.write_fragment(wanted.every))
        attempt(spec, log, [*argv, f"KCONFIG_ALLCONFIG={file}", "allnoconfig"], None)
    made = config.read_text()
    _check_must(spec, wanted, made, log)
    _check_base(spec, wanted, made, log, report)
    write_atomic(stamp, mark)
    return _describe(spec, wanted, made, report)


def _gather(spec: BuildSpec, src: Path, more: dict[str, str]) -> _Wanted:
    places = kconfig.find_places(src) if spec.base or spec.config else {}
    lab = kconfig.read_fragments(spec.base)
    left_out = [name for name in lab if name not in places]
    base = {name: value for name, value in lab.items() if name in places}
    must = kconfig.read_fragments(spec.fragments) | more
    if spec.config is None:
        return _Wanted({**base, **must}, base, must, left_out, places)
    kept = {n: value for n, value in spec.config.kept.items() if n in places and n not in must}
    base = {name: value for name, value in base.items() if name not in KEPT}
    whole = trimming.trim(spec.config.options, places)
    choices = kconfig.find_choices(src)
    for below, above in ((base, must), (kept, must), (whole, {**base, **kept, **must})):
        trimming.settle(choices, below, above)
    return _Wanted({**whole, **base, **kept, **must}, base, must, left_out, places)


def _check_must(spec: BuildSpec, wanted: _Wanted, made: str, log: Path) -> None:
    missing = kconfig.find_not_taken(wanted.must, made)
    if missing:
        raise BuildFailed(
            f"the configuration of {spec.name} did not take {kconfig.list_some(missing)}: "
            "an option that they depend on is off, or this version does not have them",
            f"the configuration did not take {missing[0]}", log,
        )  # fmt: skip


def _check_base(spec: BuildSpec, wanted: _Wanted, made: str, log: Path, report: Report) -> None:
    """Refuse a kernel that this lab cannot use; mention what else the base did not get.

    How it gives way is the user's affair where the user brings a configuration.
    """
    lacking = kconfig.find_lacking(made, wanted.known) if spec.base else []
    if spec.base and spec.config is None:
        lacking += kconfig.find_undecided(made, wanted.known)
    if lacking:
        raise BuildFailed(
            f"the configuration of {spec.name} cannot be used here: {'; '.join(lacking)}",
            lacking[0], log,
        )  # fmt: skip
    missing = kconfig.find_not_taken(wanted.base, made)
    if missing:
        report(f"not taken by this version: {kconfig.list_some(missing)}")


def _describe(spec: BuildSpec, wanted: _Wanted, made: str, report: Report) -> Configured:
    if spec.config is None:
        return Configured(wanted.left_out)
    cut = trimming.compare(spec.config.options, made)
    report(f"note: {spec.config.file.name}: {cut.sentence}")
    notes = baseconfig.find_hindrances(made, spec.source.release)
    for note in notes:
        report(f"note: {note}")
    counts = {
        "options": cut.of, "modules_off": cut.modules, "others_off": cut.off,
        "differ": cut.other, "list": "cut.config",
    }  # fmt: skip
    facts = {"base_config": {**spec.config.provenance, **counts}}
    return Configured(wanted.left_out, notes, facts, cut.text)
