# SPDX-License-Identifier: GPL-2.0-or-later
"""What `lab replay --gdb` prints before gdb: tasks, moments, useful commands. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from lab.trace.event import Event, Owner, Trace, owner
from lab.trace.story import Lane, lanes, moments, short

# Names of moments, in the words of --stop; the first is the default.
STOPS = ("nm", "value", "trap", "alloc", "sleep", "read")


@dataclass(frozen=True)
class Moment:
    """A place in the boot: instructions since power-on, microseconds since the #NM began."""

    name: str
    at: int
    us: float
    what: str


@dataclass(frozen=True)
class Scene:
    """The corruption, for gdb. ``moments`` in the order of the boot."""

    lanes: list[Lane]
    moments: list[Moment]
    tasks: dict[int, str]  # by the address of their task_struct
    allocator: str

    def at(self, name: str) -> Moment | None:
        return next((moment for moment in self.moments if moment.name == name), None)


def build(trace: Trace) -> Scene:
    """The scene of a trace; LabError when it holds no window."""
    found = moments(trace)
    tasks = lanes(trace)
    letters = {task: lane.letter for task, lane in tasks.items()}
    begin = found["nm"].ns
    made = [
        Moment(name, event.at, (event.ns - begin) / 1000, _what(name, event, trace, letters))
        for name, event in found.items()
    ]
    return Scene(list(tasks.values()), made, _name_tasks(trace, tasks), found["alloc"].detail)


def _what(name: str, event: Event, trace: Trace, letters: dict[int, str]) -> str:
    who = letters.get(event.task, "another task")
    held = _value(event.mm[0])
    if name == "value":
        return f"{who} has loaded {held} into mm0"
    if name == "trap":
        return f"{who}, before its first FPU instruction: CR0.TS={event.ts}"
    if name == "nm":
        handler = trace.names.get("#NM", "the #NM handler")
        wrote = (
            ""
            if event.believed in (None, event.ts)
            else f", the kernel wrote {event.believed} last"
        )
        return f"{handler} begins for {who}: CR0.TS={event.ts}{wrote}"
    if name == "alloc":
        return f"{who} is in {event.detail}, which may sleep"
    if name == "sleep":
        return f"the kernel switches away from {who}, CR0.TS={event.ts}"
    if name == "read":
        return f"{who} has read mm0: {held} instead of {_find_own_value(trace, event)}"
    return f"{who} notes the failed check"


def _value(value: int) -> str:
    who = owner(value)
    return f"{value:016x}" if who is None else f"{value:016x} ({short(who)})"


def _find_own_value(trace: Trace, check: Event) -> str:
    """What the task that checks loaded last."""
    own = [e.wants for e in trace.events if e.kind == "load" and e.task == check.task
           and e.ns <= check.ns]  # fmt: skip
    return _value(own[-1]) if own else "its own"


def _name_tasks(trace: Trace, tasks: dict[int, Lane]) -> dict[int, str]:
    names: dict[int, str] = {}
    for event in trace.events:
        for task, pid, comm in (
            (event.task, event.pid, event.comm), (event.next, event.next_pid, event.next_comm),
        ):  # fmt: skip
            if task and pid is not None:
                names[task] = f"{comm}, pid {pid}"
        if event.kind == "load" and event.task not in tasks:
            who = owner(event.wants)
            names[event.task] = names.get(event.task, "") + _role(who)
    for task, lane in tasks.items():
        names[task] = f"{lane.letter}: {lane.what}, pid {lane.pid}"
    return names


def _role(who: Owner | None) -> str:
    return "" if who is None else f" ({who.role} {who.id})"


def describe(scene: Scene, stop: Moment, reverse: bool) -> list[str]:
    """The lines before gdb's prompt."""
    lines = ["", "what to see:"]
    for lane in scene.lanes:
        lines.append(f"  {lane.letter}  {lane.what}, pid {lane.pid}")
    lines.append("  --stop        us  instruction")
    for moment in scene.moments:
        mark = ">" if moment == stop else " "
        lines.append(f"{mark} {moment.name:<6} {moment.us:9.1f}  {moment.at:<13} {moment.what}")
    return [
        *lines,
        "",
        f"the machine is stopped at {stop.name!r}; useful commands:",
        *_help(reverse, scene),
    ]


def describe_no_window(why: str, earlier: int) -> list[str]:
    """The lines where the window itself could not be found."""
    return [
        "",
        f"{why}: the machine is stopped {earlier:,} instructions before the failed check.",
        "useful commands:",
        *_help(False, None),
    ]


def _help(reverse: bool, scene: Scene | None) -> list[str]:
    lines = [("mm", "mm0 to mm7 and whose values they are, CR0.TS, the task"), ("bt 4", "")]
    if scene is not None:
        lines += [
            (f"hbreak {scene.allocator}", "what may sleep; then c"),
            ("hbreak __switch_to", "each context switch: p $who($rdi) leaves, p $who($rsi) comes"),
        ]
    lines += [
        ("hbreak check_passes", "the program's check of a task's registers; then c, finish"),
        ("stepi, x/4i $pc", "Xen's part of a trap is shown too"),
    ]
    if reverse:
        lines += [
            ("reverse-stepi", "back by one instruction"),
            ("reverse-continue", "back to the last breakpoint before"),
        ]
    lines.append(("c", "without a breakpoint: on to the power off (SIGQUIT)"))
    return [f"  {command:<24} {what}".rstrip() for command, what in lines]
