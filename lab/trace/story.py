# SPDX-License-Identifier: GPL-2.0-or-later
"""From a trace's events to what the time diagram shows: the window, its tasks, their steps. Pure.

As in the table of the xen-devel mail: task A's first FPU use traps and sleeps in the allocation;
task B runs meanwhile. Under PV it does not trap and reads what another task left in the
registers; natively it traps and reads its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.errors import LabError
from lab.trace.event import Event, Owner, Trace, owner


@dataclass(frozen=True)
class Row:
    """One moment. ``cells``: what happens, by lane; ``marks``: the lanes that are right or wrong.

    ``ts`` None: a gap in time, described by ``gap``.
    """

    us: float  # since A's FPU instruction
    ts: int | None = None
    believed: int | None = None
    value: str = ""  # whose value mm0 holds, short
    cells: dict[int, str] = field(default_factory=dict)
    right: bool | None = None  # a check: did the task read its own?
    lane: int = 0  # of the task that runs; -1: one without a lane
    instead: str = ""  # a check that went wrong: what should have been read, short
    gap: str = ""


@dataclass(frozen=True)
class Lane:
    """A task: its letter in the diagram, what it is, its pid."""

    letter: str
    what: str
    pid: int | None


@dataclass(frozen=True)
class Story:
    """One side of the diagram, with the sentence that says what it shows."""

    title: str
    lanes: list[Lane]
    rows: list[Row]
    says: str


@dataclass(frozen=True)
class _Plot:
    """The places of what matters in the list of events."""

    window: int  # A's load, the instruction that traps
    nm: int
    asleep: int  # the switch away from A
    check: int  # B's, in the window
    tasks: list[int]  # A, B, and whose value B read when it is neither's
    source: int | None = None  # where the value that B read was loaded


def short(who: Owner | None, value: int = 0) -> str:
    """An owner in at most 7 characters or so."""
    if who is None:
        return "0" if value == 0 else "?"
    return f"{who.role[0].upper()}{who.id}/{who.serial}"


def build(trace: Trace) -> Story:
    """What this trace shows; LabError when it holds no task that slept in its #NM."""
    events = _drop_repeats(trace.events)
    plot = _find_plot(events)
    lanes = list(_lanes(events, plot).values())
    return Story(trace.title, lanes, _rows(events, plot), _says(events, plot, trace))


def complete(events: list[Event], corrupts: bool) -> bool:
    """Whether the events so far hold a whole story, A's own load at its end included."""
    if events[-1].kind != "loaded" or (corrupts and all(e.kind != "failed" for e in events)):
        return False
    try:
        plot = _find_plot(_drop_repeats(events))
    except LabError:
        return False
    return any(e.kind == "loaded" and e.task == plot.tasks[0] for e in events[plot.asleep :])


def lanes(trace: Trace) -> dict[int, Lane]:
    """The tasks of the story by the addresses of their task_struct; LabError as for ``build``."""
    events = _drop_repeats(trace.events)
    return _lanes(events, _find_plot(events))


def _lanes(events: list[Event], plot: _Plot) -> dict[int, Lane]:
    return {task: _lane("ABC"[n], task, events) for n, task in enumerate(plot.tasks)}


def moments(trace: Trace) -> dict[str, Event]:
    """Where to stop, by name, in the order of the boot; LabError as for ``build``.

    ``value``: the value that B will read has been loaded (absent when that load was not
    seen); ``trap``: A is about to execute its first FPU instruction; ``nm``: the handler begins;
    ``alloc``: it allocates; ``sleep``: A leaves the processor in it; ``read``: B has read its
    registers; ``failed``.
    """
    events = _drop_repeats(trace.events)
    plot = _find_plot(events)
    places = {
        "value": plot.source, "trap": plot.window, "nm": plot.nm, "sleep": plot.asleep,
        "read": plot.check,
    }  # fmt: skip
    found = {name: events[n] for name, n in places.items() if n is not None}
    found["alloc"] = next(e for e in events[plot.nm :] if e.kind == "allocate")
    failed = next((e for e in events[plot.check :] if e.kind == "failed"), None)
    if failed is not None:
        found["failed"] = failed
    return dict(sorted(found.items(), key=lambda item: item[1].at))


def has_source(trace: Trace) -> bool:
    """Whether the trace begins early enough to hold the load of the value that B read."""
    events = _drop_repeats(trace.events)
    plot = _find_plot(events)
    return plot.source is not None or owner(events[plot.check].mm[0]) is None


def _drop_repeats(events: list[Event]) -> list[Event]:
    """An instruction that trapped is stopped at again when it is run again: one stop is kept."""
    kept: list[Event] = []
    loading: set[tuple[int, int]] = set()
    for event in events:
        if event.kind == "load":
            if (event.task, event.wants) in loading:
                continue
            loading.add((event.task, event.wants))
        kept.append(event)
    return kept


def _find_plot(events: list[Event]) -> _Plot:
    failed = next((n for n, e in enumerate(events) if e.kind == "failed" and n > 0), None)
    if failed is not None:
        check = _find_before(events, failed, "check", events[failed].task)
        if check is not None:
            for asleep in range(check, -1, -1):
                found = _find_window(events, asleep, check)
                if found:
                    return found
    for asleep in range(len(events)):
        after = None if failed is not None else _find_first_check(events, asleep)
        found = None if after is None else _find_window(events, asleep, after)
        if found:
            return found
    raise LabError("the trace holds no task that slept in its #NM while another one ran")


def _find_window(events: list[Event], asleep: int, check: int) -> _Plot | None:
    """The window around the switch ``asleep``; None when it is not in one."""
    switch = events[asleep]
    # Once the #NM handler has loaded the registers, the kernel believes TS clear.
    if switch.kind != "switch" or switch.believed != 1:
        return None
    nm = _find_before(events, asleep, "nm", switch.task)
    load = _find_before(events, asleep, "load", switch.task)
    if nm is None or load is None or nm < load:
        return None
    if any(e.kind == "loaded" and e.task == switch.task for e in events[load:asleep]):
        return None
    if not any(e.kind == "allocate" and e.task == switch.task for e in events[nm:asleep]):
        return None
    return _add_tasks(events, _Plot(load, nm, asleep, check, []))


def _add_tasks(events: list[Event], plot: _Plot) -> _Plot:
    first, second = events[plot.window].task, events[plot.check].task
    tasks = [first, second] if first != second else [first]
    read = owner(events[plot.check].mm[0])
    source = None
    for number in range(plot.check, -1, -1):
        event = events[number]
        if event.kind == "loaded" and read is not None and owner(event.mm[0]) == read:
            source = number
            if event.task not in tasks:
                tasks.append(event.task)
            break
    return _Plot(plot.window, plot.nm, plot.asleep, plot.check, tasks, source)


def _find_before(events: list[Event], place: int, kind: str, task: int) -> int | None:
    found = (n for n in range(place, -1, -1) if events[n].kind == kind and events[n].task == task)
    return next(found, None)


def _find_first_check(events: list[Event], asleep: int) -> int | None:
    """The first check by somebody else, before the sleeper runs again."""
    sleeper = events[asleep].task
    for number in range(asleep + 1, len(events)):
        event = events[number]
        if event.kind == "switch" and event.next == sleeper:
            return None
        if event.kind == "check" and event.task != sleeper:
            return number
    return None


def _lane(letter: str, task: int, events: list[Event]) -> Lane:
    wanted = next((owner(e.wants) for e in events if e.task == task and e.kind == "load"), None)
    pid = next((e.pid for e in events if e.task == task and e.pid), None)
    if wanted is None:
        return Lane(letter, "another task", pid)
    return Lane(letter, f"{wanted.role} {wanted.id}", pid)


def _rows(events: list[Event], plot: _Plot) -> list[Row]:
    wanted = sorted(_select(events, plot))
    start = events[plot.window].ns
    rows: list[Row] = []
    last = None
    for number in wanted:
        left: list[Event] = [] if last is None else events[last + 1 : number]
        if len(left) > 1:
            switches = sum(e.kind == "switch" for e in left)
            since = (events[number].ns - events[last or 0].ns) / 1000
            many = f"{switches} switch{'' if switches == 1 else 'es'}"
            rows.append(Row(0, gap=f"{since:.0f} us, {many} of tasks not shown"))
        rows.append(_row(events, number, plot, start))
        last = number
    return rows


def _select(events: list[Event], plot: _Plot) -> set[int]:
    """Which events are shown: the loads of what is read, the window, and A's end."""
    second = events[plot.check].task
    own = _find_before(events, plot.window, "loaded", second)
    chosen = {n for n in (own, plot.source) if n is not None}
    if plot.source is not None and plot.source < plot.window:
        chosen |= _leaving(events, plot.source)
    for number in range(plot.window, plot.check + 1):
        if _concerns(events[number], plot.tasks):
            chosen.add(number)
    return chosen | _end(events, plot)


def _end(events: list[Event], plot: _Plot) -> set[int]:
    """After the check: until B leaves the processor, and what A does until it has its registers."""
    first, second = plot.tasks[0], events[plot.check].task
    chosen: set[int] = set()
    here = True
    for number in range(plot.check + 1, len(events)):
        event = events[number]
        if event.kind == "failed":
            continue
        if event.task == first or event.next == first or (here and event.task == second):
            chosen.add(number)
        if event.kind == "switch":
            here = False
        if event.kind == "loaded" and event.task == first:
            break
    return chosen


def _leaving(events: list[Event], loaded: int) -> set[int]:
    """How the task that loaded the value leaves the processor, and that TS is set for it."""
    task = events[loaded].task
    for number in range(loaded, len(events)):
        if events[number].kind == "switch" and events[number].task == task:
            follows = number + 1 < len(events) and events[number + 1].kind == "set"
            return {number, number + 1} if follows else {number}
    return set()


def _concerns(event: Event, tasks: list[int]) -> bool:
    if event.kind == "switch":
        return event.task in tasks or event.next in tasks
    return event.task in tasks


def _row(events: list[Event], number: int, plot: _Plot, start: int) -> Row:
    event = events[number]
    lane = plot.tasks.index(event.task) if event.task in plot.tasks else -1
    value = short(owner(event.mm[0]), event.mm[0])
    us = (event.ns - start) / 1000
    cells = _cells(events, number, plot, lane)
    right, instead = None, ""
    loaded = _find_before(events, number, "load", event.task) if event.kind == "check" else None
    if loaded is not None:
        right = events[loaded].wants == event.mm[0]
        instead = "" if right else short(owner(events[loaded].wants))
    return Row(us, event.ts, event.believed, value, cells, right, lane, instead)


def _cells(events: list[Event], number: int, plot: _Plot, lane: int) -> dict[int, str]:
    event = events[number]
    if event.kind == "switch":
        cells = {lane: "schedule()"} if lane >= 0 else {}
        if event.next in plot.tasks:
            cells[plot.tasks.index(event.next)] = "runs"
        return cells
    before = events[number - 1]
    if event.kind == "set" and before.kind == "switch" and before.task in plot.tasks:
        # Within a switch the kernel sets TS on behalf of the task that leaves.
        lane = plot.tasks.index(before.task)
    held = short(owner(event.mm[0]), event.mm[0])
    words = {
        "load": f"MMX {short(owner(event.wants))}",
        "loaded": f"has {held}",
        "check": f"reads {held}",
        "nm": "#NM",
        "allocate": "allocates",
        "set": "sets TS",
        "clear": "clears TS",
    }
    return {lane: words.get(event.kind, event.kind)}


def _says(events: list[Event], plot: _Plot, trace: Trace) -> str:
    """The sentence under the diagram, from the facts of this boot alone."""
    nm, asleep, check = events[plot.nm], events[plot.asleep], events[plot.check]
    allocated = next(e for e in events[plot.nm :] if e.kind == "allocate")
    before = events[plot.window]
    wanted = _find_before(events, plot.check, "load", check.task)
    own = owner(events[wanted].wants) if wanted is not None else None
    read = owner(check.mm[0])
    trapped = any(e.kind == "nm" and e.task == check.task for e in events[plot.asleep : plot.check])
    text = (
        f"A's first FPU instruction trapped with CR0.TS={before.ts}; the kernel's "
        f"{trace.names.get('#NM', '#NM handler')} began with CR0.TS={nm.ts} and slept in "
        f"{allocated.detail}. B ran with CR0.TS={asleep.ts}, "
        f"{'trapped' if trapped else 'did not trap'}, and read {short(read, check.mm[0])}"
    )
    if read == own:
        return f"{text}, its own."
    origin = "which nobody here loaded"
    if plot.source is not None:
        since = (check.ns - events[plot.source].ns) / 1000
        letter = "ABC"[plot.tasks.index(events[plot.source].task)]
        origin = f"which {letter} had loaded {since:.1f} us before"
    return f"{text}, {origin}, instead of its own {short(own)}."
