"""All trials of one command: what runs beside what, and what is kept of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from lab.config.cells import Cell, control_of
from lab.config.claim import measured_by
from lab.config.lab import LabConfig
from lab.errors import LabError
from lab.evidence.run import RunFolder
from lab.report import junit as report
from lab.report.board import Board
from lab.run.durations import Durations
from lab.run.slots import Slots
from lab.supplies.gather import Supplies
from lab.trial.limits import alone, guests_at_once, machines_at_once
from lab.trial.trial import OwnMachine, Place, run_trial
from lab.trial.xenhost import HostPlace, XenHost
from lab.verdict.cell import CellVerdict, combine, with_controls
from lab.verdict.severity import Verdict, exit_code
from lab.verdict.stopping import Asked, Rule, calibration
from lab.verdict.trial import TrialVerdict, judge


@dataclass
class Run:
    """One command's trials. ``stop`` is set by Ctrl-C: what runs is ended, the rest not begun."""

    config: LabConfig
    cells: list[Cell]
    supplies: Supplies
    folder: RunFolder
    board: Board
    stop: threading.Event
    facts: dict[str, str]  # for the summary: what was run, on what
    repeat: str  # the command that repeats this run
    keep_host: bool = False
    _outcomes: dict[str, CellVerdict] = field(default_factory=dict)
    _settled: dict[str, threading.Event] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _durations: Durations = field(default_factory=Durations)

    def execute(self) -> list[CellVerdict]:
        """Run what has no verdict yet: own machines side by side, guests on the Xen host."""
        began = time.monotonic()
        for cell in self.cells:
            self._settled[cell.id] = threading.Event()
            self.board.add(cell.id, self._durations.usual(self._key(cell)))
        self._write_reports()
        todo = [cell for cell in self.cells if not self._impossible(cell)]
        # Controls first: they tell early whether the run can prove anything.
        todo.sort(key=lambda cell: not cell.is_control)
        nested = [cell for cell in todo if cell.nested]
        slots = Slots(machines_at_once(self.config, beside_host=bool(nested)))
        # A thread for each: most wait, for their control or for a slot.
        with ThreadPoolExecutor(len(todo) + 1) as pool:
            work: list[Future[None]] = []
            if nested:
                # The host keeps a processor busy while it boots and while it has guests. It
                # may not have the only slot: its cells wait for controls that need one.
                held = Slots(1) if slots.count == 1 else slots
                held.take()
                work.append(pool.submit(self._on_hosts, nested, held.give_back))
            own = OwnMachine(self.supplies, self.config.xen.args, self.config.icount)
            for cell in (cell for cell in todo if not cell.nested):
                work.append(pool.submit(self._on_own, cell, own, slots))
            self._join(work)
        self._write_reports()
        self.folder.time("all cells", time.monotonic() - began)
        self.folder.seal()
        return self.outcomes()

    def outcomes(self) -> list[CellVerdict]:
        """Every cell's verdict so far, in the plan's order, weighed beside the controls."""
        with self._lock:
            known = dict(self._outcomes)
        missing = "not run: the run has not come to it"
        made = [
            known.get(cell.id) or CellVerdict(cell, Verdict.LAB_ERROR, missing)
            for cell in self.cells
        ]
        return with_controls(made, self.config.confidence)

    def exit_code(self) -> int:
        found = [(c.verdict, c.cell.expect) for c in self.outcomes() if c.verdict is not None]
        return exit_code(found) if found else Verdict.LAB_ERROR.exit_code

    def _join(self, work: list[Future[None]]) -> None:
        """Wait for all; Ctrl-C (once) asks everything to end and goes on waiting."""
        for future in work:
            while True:
                try:
                    future.result()
                    break
                except KeyboardInterrupt:
                    self.stop.set()

    def _impossible(self, cell: Cell) -> bool:
        why = self.supplies.impossible.get(cell.id)
        if why:
            self._outcome(CellVerdict(cell, None, why))
        return why is not None

    def _on_own(self, cell: Cell, place: Place, slots: Slots) -> None:
        try:
            self._cell(cell, place, slots)
        except BaseException as error:
            self._fault([cell], error)
            raise

    def _fault(self, cells: list[Cell], error: BaseException) -> None:
        """A fault that nobody foresaw: the cells have an outcome, so that nobody waits for one."""
        for cell in cells:
            if cell.id not in self._outcomes:
                why = f"internal error, {type(error).__name__}: {error}"
                self._outcome(CellVerdict(cell, Verdict.LAB_ERROR, why))

    def _on_hosts(self, cells: list[Cell], release: Callable[[], None]) -> None:
        """A host for each Xen, one after the other."""
        try:
            for batch in batches(cells):
                self._on_host(batch, batch[0].xen)
        except BaseException as error:
            self._fault(cells, error)
            raise
        finally:
            release()

    def _on_host(self, cells: list[Cell], xen: str) -> None:
        host = XenHost(self.config, self.supplies, self.folder, self.board, self.stop, xen)
        try:
            host.start()
            slots = Slots(guests_at_once(self.config))
            with ThreadPoolExecutor(slots.count) as pool:
                place = HostPlace(host)
                list(pool.map(lambda cell: self._cell(cell, place, slots), cells))
            host.collect()
        except LabError as error:
            for cell in cells:
                if cell.id not in self._outcomes:
                    self._outcome(CellVerdict(cell, Verdict.LAB_ERROR, str(error)))
        finally:
            host.stop(self.keep_host)

    def _rule(self, cell: Cell) -> Rule:
        """When the cell has enough; waits until its control, if it has one, is settled."""
        possible = [c for c in self.cells if c.id not in self.supplies.impossible]
        control = control_of(cell, possible)
        measured = None
        if control:
            self._settled[control.id].wait()
            with self._lock:
                measured = calibration(self._outcomes[control.id].trials)
        config, measures = self.config, self._measures(cell)
        return Rule(cell, config.trials, config.stress, config.confidence, measures, measured)

    def _measures(self, cell: Cell) -> bool:
        """Whether other cells, or a claim, are measured by what this one shows."""
        possible = [c for c in self.cells if c.id not in self.supplies.impossible]
        controls = (control_of(other, possible) for other in possible)
        measured = any(control is not None and control.id == cell.id for control in controls)
        return measured or measured_by(self.config.claims, cell.id)

    def _cell(self, cell: Cell, place: Place, slots: Slots) -> None:
        """All trials of a cell, those of an earlier attempt at this run included."""
        rule = self._rule(cell)  # may wait for the control; a slot is not held meanwhile
        boots = Boots(self._earlier(cell), last=self.folder.last_trial(cell.id))
        many = slots.count if self._alone(cell) else 1

        def boot(asked: Asked) -> None:
            with slots.held(0 if rule.calibrates else 1, many):
                # Boots beside this one may have settled the cell while it waited.
                if not self.stop.is_set() and rule.wants_more(boots.verdicts):
                    number = boots.begin()
                    boots.ended(number, self._trial(cell, number, place, asked))

        while not self.stop.is_set() and rule.wants_more(boots.verdicts):
            number = rule.batch(boots.verdicts, slots.count // many)
            asked = rule.asked(boots.verdicts, number)
            with ThreadPoolExecutor(number) as pool:
                list(pool.map(boot, [asked] * number))
        if not boots.verdicts:
            self._outcome(CellVerdict(cell, Verdict.LAB_ERROR, "interrupted before it began"))
            return
        made = combine(cell, boots.verdicts, boots.seconds)
        if made.verdict is not Verdict.LAB_ERROR:
            self._durations.took(self._key(cell), boots.seconds)
        self._outcome(made)

    def _alone(self, cell: Cell) -> bool:
        """Whether nothing else may run on its host beside a guest of that kind."""
        emulated = self.config.host.kind == "nested" and self.supplies.accel.name == "tcg"
        return alone(cell.guest, emulated)

    def _trial(self, cell: Cell, number: int, place: Place, asked: Asked) -> TrialVerdict:
        try:
            return run_trial(
                cell, number, self.config, self.supplies, self.folder, place, self.board,
                self.stop, asked,
            )  # fmt: skip
        except (LabError, OSError) as error:
            return TrialVerdict(Verdict.LAB_ERROR, str(error))

    def _earlier(self, cell: Cell) -> dict[int, TrialVerdict]:
        """Trials that a resumed run already has; one that was cut off is judged as it lies."""
        verdicts = {}
        for trial in self.folder.trials(cell.id):
            verdict = judge(trial.facts(), trial.read_console(), trial.ending())
            if trial.verdict() is None:
                trial.judged(verdict)
            verdicts[trial.number] = verdict
        # A kill of the controller is not the lab's fault a second time.
        return {n: v for n, v in verdicts.items() if v.verdict is not Verdict.LAB_ERROR}

    def _outcome(self, cell: CellVerdict) -> None:
        with self._lock:
            self._outcomes[cell.cell.id] = cell
        self._settled[cell.cell.id].set()
        shown = next(c for c in self.outcomes() if c.cell.id == cell.cell.id)
        as_expected = None if shown.verdict is None else shown.as_expected
        self.board.done(cell.cell.id, shown.verdict, shown.reason, as_expected)
        self._write_reports()

    def _write_reports(self) -> None:
        """JUnit and the summary, whole again after every cell, so that a crash loses nothing."""
        cells = self.outcomes()
        with self._lock:
            self.folder.write_text("junit.xml", report.junit("xen-fpu-lab", cells))
            title = f"Run {self.folder.path.name}"
            self.folder.write_text(
                "summary.md", report.summary(title, self.facts, cells, self.repeat)
            )
            body: dict[str, Any] = {"cells": [cell.as_json() for cell in cells]}
            self.folder.write("summary.json", body)

    def _key(self, cell: Cell) -> str:
        """A control that measures others boots oftener than the same cell by itself."""
        measures = " measures" if self._measures(cell) else ""
        return f"{self.supplies.accel.name} {cell.id} {self.config.stress.seconds}s{measures}"


class Boots:
    """The boots of one cell, by number; several may be under way."""

    def __init__(self, earlier: dict[int, TrialVerdict], last: int) -> None:
        self._verdicts = earlier
        self._last = last
        self._began: float | None = None
        self._lock = threading.Lock()

    @property
    def verdicts(self) -> list[TrialVerdict]:
        """Of those that have ended, in the order in which they began."""
        with self._lock:
            return [self._verdicts[number] for number in sorted(self._verdicts)]

    @property
    def seconds(self) -> float:
        """Since the first of them began; the wait for a slot before it is not counted."""
        return time.monotonic() - self._began if self._began is not None else 0.0

    def begin(self) -> int:
        """The next one's number."""
        with self._lock:
            self._began = self._began or time.monotonic()
            self._last += 1
            return self._last

    def ended(self, number: int, verdict: TrialVerdict) -> None:
        with self._lock:
            self._verdicts[number] = verdict


def batches(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells of one Xen each, in the order of their hosts: pure.

    All controls come before what is measured by them, whatever Xen either needs: with
    another order a host would wait for a control that the next one runs.
    """
    controls = _by_xen([cell for cell in cells if cell.is_control])
    rest = _by_xen([cell for cell in cells if not cell.is_control])
    if controls and rest:
        last = next(iter(reversed(controls)))
        goes_on = rest.pop(last, [])
        controls[last] = [*controls[last], *goes_on]
    return [*controls.values(), *rest.values()]


def _by_xen(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    names = dict.fromkeys(cell.xen for cell in cells)
    return {name: [cell for cell in cells if cell.xen == name] for name in names}
