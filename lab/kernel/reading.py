# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel's source says about the bug, with file and line. A reading; never a verdict.

The #NM handler is followed to its allocation, as Linux 2.6.26 to 4.1 have it:

    math_state_restore() { if (!tsk_used_math(tsk)) { local_irq_enable(); init_fpu(tsk); ... } }
    init_fpu() { ... kmem_cache_alloc(task_xstate_cachep, GFP_KERNEL) ... }

Vendors' trees have fixes of their own, and parts of later versions. What is not recognized is
not judged. All of it is pure but for reading files of the tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Read = Callable[[str], str | None]
"""A file of the tree by its path; None where it does not exist."""

_KERNEL, _HEADERS = "arch/x86/kernel", "arch/x86/include/asm"
_OLD_HEADERS = "include/asm-x86"  # up to 2.6.27
_TRAPS = tuple(f"{_KERNEL}/{name}.c" for name in ("traps", "traps_64", "traps_32"))
_STATE = (
    f"{_KERNEL}/i387.c", f"{_HEADERS}/fpu-internal.h", f"{_HEADERS}/i387.h",
    f"{_OLD_HEADERS}/i387.h", f"{_HEADERS}/fpu/internal.h", f"{_KERNEL}/fpu/core.c",
)  # fmt: skip
_CHOICE = (f"{_KERNEL}/xsave.c", f"{_KERNEL}/fpu/init.c", f"{_KERNEL}/fpu/xstate.c")
_AREA = (
    f"{_HEADERS}/fpu/types.h", f"{_HEADERS}/processor.h", f"{_OLD_HEADERS}/processor.h",
    f"{_OLD_HEADERS}/processor_64.h",
)  # fmt: skip
_FORK = (f"{_KERNEL}/process.c", f"{_KERNEL}/process_64.c", f"{_KERNEL}/process_32.c")
_FREED_AT_EXEC = (
    r"\b(?:flush_thread|start_thread\w*)\([^{;]*\{(?:(?!^\}).*\n)*?.*\bfree_thread_xstate\("
)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_ALLOCATION = re.compile(r"kmem_cache_alloc\w*\(\s*task_xstate_cachep\s*,\s*(\w+)[^;]*;")


@dataclass(frozen=True)
class Finding:
    """One thing that the source says, and where."""

    says: str
    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.says} ({self.path}:{self.line})"


@dataclass(frozen=True)
class Reading:
    """``window``: whether the first FPU use can sleep with CR0.TS clear, as the source reads;
    None where it was not recognized. ``findings``: first the one that decides.
    """

    window: bool | None
    findings: tuple[Finding, ...] = ()

    @property
    def sentence(self) -> str:
        """For people; empty where nothing was recognized."""
        if self.window is None or not self.findings:
            return ""
        head = "has the window" if self.window else "does not have the window"
        return f"as the source reads, it {head}: {'; '.join(map(str, self.findings))}"

    def as_json(self) -> dict[str, Any]:
        return {"window": self.window, "findings": [asdict(found) for found in self.findings]}


def read_tree(tree: Path) -> Reading:
    """The reading of a tree that lies in a folder."""

    def read(path: str) -> str | None:
        file = tree / path
        return file.read_bytes().decode(errors="replace") if file.is_file() else None

    return find(read)


def find(read: Read) -> Reading:
    """Follow the #NM handler of a tree to its allocation."""
    every = [_Text(path, _blank(text)) for path in _TRAPS if (text := read(path)) is not None]
    bodies = [body for text in every for body in _find_bodies(text)]
    restore = [body for body in bodies if re.search(r"\binit_fpu\s*\(", body.code)]
    if restore:
        return _follow(restore[0], _Tree(read))
    return _find_why_not(bodies, _Tree(read))


@dataclass(frozen=True)
class _Text:
    path: str
    code: str  # without comments, line by line as in the file

    def at(self, offset: int) -> int:
        return self.code.count("\n", 0, offset) + 1


@dataclass(frozen=True)
class _Body:
    """A function's code. ``begin``: its line in the file."""

    name: str
    path: str
    code: str
    begin: int

    def say(self, what: str, offset: int = 0) -> Finding:
        return Finding(what, self.path, self.begin + self.code.count("\n", 0, offset))


class _Tree:
    """Files of a tree, without their comments."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def search(self, paths: Sequence[str], pattern: str) -> tuple[Finding, re.Match[str]] | None:
        """The first match in the first of these files that has one; what it says is empty."""
        for path in paths:
            text = self._read(path)
            code = _blank(text) if text is not None else ""
            found = re.search(pattern, code, re.MULTILINE)
            if found:
                return Finding("", path, code.count("\n", 0, found.start()) + 1), found
        return None

    def say(self, what: str, paths: Sequence[str], pattern: str) -> Finding | None:
        found = self.search(paths, pattern)
        return Finding(what, found[0].path, found[0].line) if found else None


def _blank(text: str) -> str:
    """The same without comments; every line stays where it is."""
    return _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)


_HANDLER = re.compile(
    r"^[^\n;#{}]*?\b(math_state_restore|__math_state_restore|do_device_not_available|"
    r"exc_device_not_available)\s*\)?\s*(?:\([^;{}]*\))?\s*\n?\{(.*?)^\}",
    re.MULTILINE | re.DOTALL,
)


def _find_bodies(text: _Text) -> Iterator[_Body]:
    for found in _HANDLER.finditer(text.code):
        yield _Body(found[1], text.path, found[2], text.at(found.start(2)))


def _follow(body: _Body, tree: _Tree) -> Reading:
    """From a handler that calls init_fpu() to what that allocates."""
    code = body.code
    called = re.search(r"\binit_fpu\s*\(", code)
    assert called is not None
    enabled = re.search(r"\blocal_irq_enable\s*\(|\bconditional_sti\s*\(", code)
    if enabled is None or enabled.start() > called.start():
        why = "init_fpu() runs in #NM without interrupts enabled before it"
        return Reading(False, (body.say(why, called.start()),))
    fix = re.search(r"\bstts\s*\(", code[: called.start()])
    if fix:
        return Reading(False, (body.say("#NM sets CR0.TS before it may sleep", fix.start()),))
    allocated = tree.search(_STATE, _ALLOCATION.pattern)
    if allocated is None:
        why = "init_fpu() allocates nothing that is recognized"
        return Reading(None, (body.say(why, called.start()),))
    place, found = allocated
    flags = found[1]
    where = Finding(f"the FPU area is allocated with {flags}", place.path, place.line)
    if flags not in ("GFP_KERNEL", "GFP_USER"):
        return Reading(False, (where,))
    early = _find_early_area(tree)
    if early:
        return Reading(False, (early,))
    opened = body.say("#NM enables interrupts before init_fpu()", enabled.start())
    eager = _find_eager_default(tree)
    return Reading(True, (where, opened, *([eager] if eager else [])))


def _find_early_area(tree: _Tree) -> Finding | None:
    """Whether fork allocates the area of every task, and exec leaves it there."""
    found = tree.search(_FORK, r"^int arch_dup_task_struct\([^{]*\{(?:.*\n)*?^\}")
    if found is None:
        return None
    place, body = found
    call = re.search(r"\bfpu_alloc\s*\(|kmem_cache_alloc\w*\(\s*task_xstate_cachep", body[0])
    # mainline: if (fpu_allocated(&src->thread.fpu)) or if (tsk_used_math(src)) before it
    if call is None or re.search(r"\bif\s*\((?!\s*!)", body[0][: call.start()]):
        return None
    if tree.search(_FORK, _FREED_AT_EXEC):
        return None
    line = place.line + body[0].count("\n", 0, call.start())
    return Finding("fork allocates the FPU area of every task", place.path, line)


def _find_eager_default(tree: _Tree) -> Finding | None:
    """What makes a kernel switch eagerly that could be lazy."""
    found = tree.search(_CHOICE, r"^static enum \{[^}]*\} eagerfpu\s*=\s*(\w+)")
    if found is None:
        return None
    place, match = found
    says = {
        "AUTO": "on a processor with XSAVEOPT it switches eagerly unless eagerfpu=off is given",
        "ENABLE": "it switches eagerly unless eagerfpu=off is given",
        "DISABLE": "it switches lazily unless eagerfpu=on is given",
    }.get(match[1])
    return Finding(says, place.path, place.line) if says else None


def _find_why_not(bodies: Sequence[_Body], tree: _Tree) -> Reading:
    """A handler that does not call init_fpu(): the area is there already, or nothing traps."""
    if any("fpu_lazy_load" in body.code for body in bodies):
        return Reading(None)  # the lab's control kernel, which brings its own
    handler = next((body for body in bodies if "device_not_available" in body.name), None)
    if handler is None:
        return Reading(None)
    area = tree.say(
        "the FPU area is part of the task, so that #NM does not allocate",
        _AREA, r"^\s*(?:union fpregs_state|union i387_union|union thread_xstate|struct fpstate)"
        r"\s+(?:__?)?(?:state|i387|xstate|fpstate|default_fpstate)\s*;",
    )  # fmt: skip
    restored = re.search(r"\b(fpu__restore|math_state_restore)\s*\(", handler.code)
    if restored is None:
        trap = handler.say("#NM restores nothing: FPU switching is always eager")
        return Reading(False, (trap, *([area] if area else [])))
    if area is None:
        return Reading(None)
    call = handler.say(f"#NM only calls {restored[1]}()", restored.start())
    return Reading(False, (area, call, *_find_eager(tree)))


def _find_eager(tree: _Tree) -> list[Finding]:
    """How a kernel with an area in each task chooses between lazy and eager."""
    found = _find_eager_default(tree)
    always = tree.say(
        "it always switches eagerly", (f"{_HEADERS}/fpu/internal.h",),
        r"use_eager_fpu\(void\)\s*\{\s*return (?:true|1)\s*;",
    )  # fmt: skip
    return [one for one in (found or always,) if one]
