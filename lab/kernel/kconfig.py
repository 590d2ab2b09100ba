# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel's configuration: fragments on top of allnoconfig, for any version since 2.6.26.

allnoconfig with KCONFIG_ALLCONFIG is in all of them; olddefconfig and merge_config.sh are not.
Symbols that a version does not have are left out; those that matter and did not take are reported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

_WANTED = re.compile(r"(?:(CONFIG_\w+)=(.+)|# (CONFIG_\w+) is not set)")
_SYMBOL = re.compile(r"^\s*(?:menu)?config\s+(\w+)", re.MULTILINE)
_CHOICE = re.compile(r"^\s*choice\b(.*?)^\s*endchoice\b", re.MULTILINE | re.DOTALL)

# Without these the lab cannot use a kernel: the symbols, by version (any of a row is enough), and
# what is missing without them.
_MATTERS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("X86_64", "X86_PAE"), "it is neither a 64-bit kernel nor a 32-bit one that Xen would start"),
    # XEN_PV since 4.12; before, XEN was it.
    (("XEN_PV", "XEN"), "it cannot run as dom0 or pv (Xen needs PARAVIRT and, in old versions, "
                        "EXPERIMENTAL)"),
    (("HVC_XEN",), "its console as a Xen guest would be silent"),
    (("SERIAL_8250_CONSOLE",), "its console without Xen would be silent"),
    (("BLK_DEV_INITRD",), "it cannot start the stress program, which comes as a ramdisk"),
    (("BINFMT_ELF",), "it cannot start the stress program"),
    (("PROC_FS",), "the stress program cannot see what it runs on"),
)  # fmt: skip
# Without these the bug could hardly show.
_DECIDES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("PREEMPT_VOLUNTARY", "PREEMPT", "PREEMPT_LAZY"), "the first FPU use gives way only "
                                                       "while memory is short: the bug could "
                                                       "hardly show"),
    (("SLUB_DEBUG", "SLAB", "PREEMPT"), "before 3.17 SLUB then never gives way in the first FPU "
                                        "use: the bug could hardly show"),
)  # fmt: skip


def read_fragments(fragments: Iterable[Path]) -> dict[str, str]:
    """Options of all fragments, later ones winning; ``n`` for those that must be off."""
    options: dict[str, str] = {}
    for path in fragments:
        options |= read_options(path.read_text())
    return options


def read_options(text: str) -> dict[str, str]:
    """Options of one fragment or .config; ``n`` for those that are off."""
    lines = (_WANTED.fullmatch(line.strip()) for line in text.splitlines())
    return {line[1] or line[3]: line[2] or "n" for line in lines if line}


def write_fragment(options: dict[str, str]) -> str:
    """A .config of them."""
    lines = [f"# {n} is not set" if v == "n" else f"{n}={v}" for n, v in options.items()]
    return "\n".join(lines) + "\n"


def find_symbols(tree: Path) -> set[str]:
    """Every CONFIG_ symbol that x86 can have in this tree."""
    return set(find_places(tree))


def find_places(tree: Path) -> dict[str, set[str]]:
    """Every CONFIG_ symbol that x86 can have in this tree: the folders that define it."""
    found: dict[str, set[str]] = {}
    for folder, content in _read_definitions(tree):
        for symbol in _SYMBOL.findall(content):
            found.setdefault(f"CONFIG_{symbol}", set()).add(folder)
    return found


def find_choices(tree: Path) -> list[set[str]]:
    """Sets of CONFIG_ symbols of which one is y."""
    return [
        {f"CONFIG_{symbol}" for symbol in _SYMBOL.findall(body)}
        for _, content in _read_definitions(tree)
        for body in _CHOICE.findall(content)
    ]


def _read_definitions(tree: Path) -> Iterator[tuple[str, str]]:
    """Folder and text of each Kconfig file that x86 may read."""
    for folder, names, files in os.walk(tree):
        if Path(folder) == tree / "arch":
            names[:] = [name for name in names if name == "x86"]
        if Path(folder) == tree:
            names[:] = [name for name in names if name not in ("Documentation", "tools")]
        for name in files:
            if name.startswith("Kconfig"):
                content = (Path(folder) / name).read_bytes().decode(errors="replace")
                yield Path(folder).relative_to(tree).as_posix(), content


def read_config(config: str) -> dict[str, str]:
    """What a .config has on, or has a value for."""
    pairs = (line.split("=", 1) for line in config.splitlines() if line.startswith("CONFIG_"))
    return dict(pairs)


def find_not_taken(options: dict[str, str], config: str) -> list[str]:
    """Options whose value in a .config is not the wanted one; absent counts as n."""
    found = read_config(config)
    return [f"{n}={v}" for n, v in options.items() if found.get(n, "n") != v]


def find_lacking(config: str, known: Collection[str]) -> list[str]:
    """What a .config misses that this lab cannot do without, each in a clause."""
    return _find_missing(_MATTERS, config, known)


def find_undecided(config: str, known: Collection[str]) -> list[str]:
    """What a .config misses without which the bug could hardly show, each in a clause."""
    return _find_missing(_DECIDES, config, known)


def _find_missing(
    table: Sequence[tuple[tuple[str, ...], str]], config: str, known: Collection[str]
) -> list[str]:
    found = read_config(config)
    missing = []
    for names, consequence in table:
        every = [f"CONFIG_{name}" for name in names]
        here = [name for name in every if name in known] or every
        if every[0] == "CONFIG_XEN_PV" and every[0] in known:
            here = every[:1]  # XEN alone does not make a PV kernel where XEN_PV exists
        if not any(found.get(name) == "y" for name in here):
            missing.append(f"{' or '.join(here)} is off: {consequence}")
    return missing


def list_some(names: Sequence[str], limit: int = 6) -> str:
    """A list short enough for a sentence."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
