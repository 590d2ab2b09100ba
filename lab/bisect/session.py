# SPDX-License-Identifier: GPL-2.0-or-later
"""One session of a bisect: kernels booted beside the bisect's control, and their verdicts.

The control of every session is the bad end's kernel, which was first proved to corrupt. It has the
age and configuration of the others, so a clean kernel is measured by its rate. Its boots so far
are hard-linked into each session (their nonces show it), and it is booted there once more: it must
corrupt on that day and that host too, or the session does not count. So its rate, and how boots
differ, are known better with every session.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.config.cellname import PLAIN, cell_id
from lab.config.cells import Cell, cells, on_hosts
from lab.config.kernel import KernelConfig
from lab.config.kinds import GUEST_KINDS, GuestKind
from lab.config.lab import LabConfig, MatrixConfig
from lab.errors import LabError, UserError
from lab.evidence.run import RunFolder
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict

# How often a session is extended whose clean cells are not sure enough, and by how many boots.
_EXTENSIONS = 3
_MORE_CONTROL = 4
# What runs cells into a folder: lab.run.experiment, or a script in the tests.
Experiment = Callable[[LabConfig, list[Cell], RunFolder], list[CellVerdict]]


class ControlError(LabError):
    """The control did not corrupt in a session: the session proves nothing."""


@dataclass(frozen=True)
class Kind:
    """What every kernel of a bisect is booted as."""

    guest: GuestKind
    variation: str = PLAIN
    args: str = ""
    host: str = ""  # a name from hosts; the one under host otherwise

    @classmethod
    def parse(cls, text: str, config: LabConfig, args: str = "") -> Kind:
        """``dom0``, ``pv~2vcpu`` or ``dom0@rack1``; UserError for anything else."""
        kind, at, host = text.partition("@")
        word, _, variation = kind.partition("~")
        guest = next((kind for kind in GUEST_KINDS if kind == word), None)
        if guest is None:
            raise UserError(
                f"--cell {text!r}: should be a guest kind, one of {', '.join(GUEST_KINDS)}, "
                "or KIND~VARIATION, with @HOST behind it where one is meant"
            )
        if variation and variation not in config.variations:
            raise UserError(
                f"--cell {text!r}: the variation {variation!r} is not under 'variations:'"
            )
        if at:
            config = on_hosts(config, [host])  # refuses a name of no host
            if not config.runs(guest, host):
                raise UserError(f"--cell {text!r}: {config.say_lack(guest, host)}")
        return cls(guest, variation or PLAIN, args, "" if host == config.own_host else host)

    def cell(self, label: str) -> str:
        return cell_id(self.guest, label, self.variation, self.host)

    @property
    def word(self) -> str:
        word = self.guest if self.variation == PLAIN else f"{self.guest}~{self.variation}"
        return f"{word}@{self.host}" if self.host else word


@dataclass(frozen=True)
class Control:
    """The proved bad end: its kernel, and its boots so far."""

    label: str
    image: Path
    boots: Path  # its folder of trials
    count: int


@dataclass(frozen=True)
class Sessions:
    """Runs kernels of one kind; every call is one session in a folder of its own."""

    config: LabConfig
    kind: Kind
    experiment: Experiment
    controls: tuple[str, ...] = field(default=())  # lab.yaml's own control cells, for the ends

    def boot_ends(
        self, bad: tuple[str, Path], good: tuple[str, Path], folder: RunFolder
    ) -> tuple[CellVerdict, CellVerdict, list[CellVerdict]]:
        """Both ends beside lab.yaml's own control: the bad end, the good one, the controls."""
        config = self._config({bad[0]: bad[1], good[0]: good[1]}, bad[0], self.controls)
        found = self._until_sure(config, folder)
        own = [found[name] for name in self.controls if name in found]
        return found[self.kind.cell(bad[0])], found[self.kind.cell(good[0])], own

    def boot_beside(
        self, kernels: dict[str, Path], control: Control, folder: RunFolder
    ) -> dict[str, CellVerdict]:
        """Kernels by label, beside the control. LabError when the lab or the control failed."""
        config = self._config({control.label: control.image, **kernels}, control.label)
        wanted = config.confidence.model_copy(update={"control_boots": control.count + 1})
        config = config.model_copy(update={"confidence": wanted})
        _bring(control.boots, folder, self.kind.cell(control.label))
        made = self._until_sure(config, folder)
        found = {outcome.cell.kernel: outcome for outcome in made.values()}
        self._check(found, control, kernels)
        return found

    def _until_sure(self, config: LabConfig, folder: RunFolder) -> dict[str, CellVerdict]:
        """Cells by id. A cell that is clean, but not surely enough, gets more boots.

        So does the control then: how sure a clean cell is depends as much on how well the control's
        rate is known, and how its boots differ. Boots of earlier attempts count.
        """
        for extension in range(_EXTENSIONS + 1):
            wanted = config.confidence
            more = wanted.model_copy(
                update={
                    "control_boots": wanted.control_boots + extension * _MORE_CONTROL,
                    "max_boots": wanted.max_boots + extension * wanted.max_boots // 2,
                }
            )
            longer = config.model_copy(update={"confidence": more})
            outcomes = self.experiment(longer, cells(longer), folder)
            shown = any(o.cell.is_control and o.verdict is Verdict.CORRUPTS for o in outcomes)
            if not shown or not any(_unsure(outcome) for outcome in outcomes):
                break
        return {outcome.cell.id: outcome for outcome in outcomes}

    def boot_alone(self, kernel: tuple[str, Path], folder: RunFolder) -> CellVerdict:
        """One kernel beside lab.yaml's own control, where no end was proved."""
        config = self._config({kernel[0]: kernel[1]}, None, self.controls)
        found = self._until_sure(config, folder)
        outcome = found.pop(self.kind.cell(kernel[0]))
        failed = [control for control in found.values() if control.verdict is not Verdict.CORRUPTS]
        if failed and outcome.verdict is not Verdict.CORRUPTS:
            raise ControlError(f"the control {failed[0].cell.id} did not corrupt")
        return outcome

    def _check(
        self, found: dict[str, CellVerdict], control: Control, kernels: dict[str, Path]
    ) -> None:
        own = found[control.label]
        fresh = own.trials[control.count :]
        if own.verdict is Verdict.LAB_ERROR:
            raise LabError(f"{own.cell.id}: {own.reason}")
        for label in kernels:
            if found[label].verdict is Verdict.LAB_ERROR:
                raise LabError(f"{found[label].cell.id}: {found[label].reason}")
        others = [found[label] for label in kernels]
        if control.label not in kernels and all(o.verdict is Verdict.CORRUPTS for o in others):
            return  # only a clean cell needs the control, a corruption does not
        if not any(trial.verdict is Verdict.CORRUPTS for trial in fresh):
            raise ControlError(
                f"the control {own.cell.id} did not corrupt in this session, so clean "
                "cells prove nothing in it"
            )

    def _config(
        self, images: dict[str, Path], control: str | None, more: tuple[str, ...] = ()
    ) -> LabConfig:
        """The lab's configuration with these kernels alone; ``more``: cells of lab.yaml."""
        kernels = {n: KernelConfig(image=i, args=self.kind.args) for n, i in images.items()}
        kernels |= {n: k for n, k in self.config.kernels.items() if n not in kernels and more}
        matrix = MatrixConfig(
            kernels=list(images), guests=[self.kind.guest], variations=[self.kind.variation],
            hosts=[self.kind.host] if self.kind.host else None, include=list(more),
        )  # fmt: skip
        proved = [self.kind.cell(control)] if control is not None else []
        stress = self.config.stress
        if stress.stop == "never":
            stress = stress.model_copy(update={"stop": "auto"})
        return self.config.model_copy(
            update={
                "kernels": kernels,
                "matrix": matrix,
                "stress": stress,
                "expect": {"corrupts": [*proved, *more]},
                "known": {},
            }
        )


def own_controls(config: LabConfig, kind: Kind) -> tuple[str, ...]:
    """lab.yaml's control of this guest kind on the same host, where it has one."""
    plan = cells(on_hosts(config, [kind.host] if kind.host else None))
    found = [c.id for c in plan if c.is_control and c.guest == kind.guest and c.host == kind.host]
    return tuple(found[:1])


def _unsure(outcome: CellVerdict) -> bool:
    """Every boot was clean, and together they were too few."""
    silent = all(trial.verdict is Verdict.CLEAN for trial in outcome.trials)
    return outcome.verdict is Verdict.VACUOUS and bool(outcome.trials) and silent


def _bring(boots: Path, folder: RunFolder, cell: str) -> None:
    """Link the control's boots into a session's folder, once, all or none."""
    into = folder.path / "cells" / cell
    if into.exists():
        return
    scratch = folder.path / f".{cell}.bringing"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(boots, scratch, copy_function=os.link)
    into.parent.mkdir(exist_ok=True)
    scratch.rename(into)
