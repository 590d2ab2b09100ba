# SPDX-License-Identifier: GPL-2.0-or-later
"""A distribution's configuration cut down to what boots here, so that it builds in minutes: pure.

Modules go, and all that is defined in folders whose devices and file systems no guest of the lab
has. What decides how tasks, memory and the FPU are dealt with stays: arch/x86, kernel, mm, lib.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from lab.kernel import kconfig
from lab.system.files import sha256_of
from lab.system.project import data

# Folders of Kconfig files whose options are off, and those inside that stay.
_CUT = ("certs", "crypto", "drivers", "fs", "net", "samples", "security", "sound", "virt")
_STAYS = (
    "drivers/acpi", "drivers/base", "drivers/char", "drivers/clocksource", "drivers/cpufreq",
    "drivers/cpuidle", "drivers/irqchip", "drivers/pci", "drivers/pnp", "drivers/serial",
    "drivers/tty", "drivers/xen", "fs/proc", "fs/sysfs",
)  # fmt: skip
_THEMSELVES = ("drivers", "fs")  # options of these folders' own Kconfig stay


@functools.cache
def read_rules() -> dict[str, str]:
    """What is off whatever the configuration says: images/kconfig/trim.config."""
    return kconfig.read_fragments([data("images", "kconfig", "trim.config")])


def identify() -> str:
    """Changes with what is cut."""
    return sha256_of(repr(read_rules()), repr((_CUT, _STAYS, _THEMSELVES)))


def trim(options: Mapping[str, str], places: Mapping[str, Set[str]]) -> dict[str, str]:
    """The options that a build begins with. ``places``: the folders that define each one.

    An option that this version does not have is left out.
    """
    known = {name: value for name, value in options.items() if name in places}
    made = {name: _cut(value, places[name]) for name, value in known.items()}
    rules = {name: value for name, value in read_rules().items() if name in places}
    return {name: value for name, value in made.items() if value is not None} | rules


def _cut(value: str, places: Set[str]) -> str | None:
    """None: whatever the version itself says."""
    if value == "m":
        return "n"
    if all(map(_is_cut, places)):
        return "n" if value == "y" else None
    return value


def _is_cut(folder: str) -> bool:
    if folder in _THEMSELVES or any(_is_in(folder, kept) for kept in _STAYS):
        return False
    return any(_is_in(folder, cut) for cut in _CUT)


def _is_in(folder: str, outer: str) -> bool:
    return folder == outer or folder.startswith(f"{outer}/")


def settle(choices: Iterable[Set[str]], below: dict[str, str], above: Mapping[str, str]) -> None:
    """In ``below`` take away what is y in a choice of which ``above`` has another."""
    for choice in choices:
        if any(above.get(name) == "y" for name in choice):
            for name in choice:
                below.pop(name, None)


@dataclass(frozen=True)
class Cut:
    """What became of a configuration. ``text``: a file that lists all that is not as it was."""

    modules: int  # that are off
    off: int  # that were built in, and are off
    other: int  # that have another value, or are built in instead of a module
    of: int  # that were on
    text: str

    @property
    def sentence(self) -> str:
        return (
            f"of {self.of:,} options that were on, {self.modules:,} modules and {self.off:,} "
            f"others are off here, and {self.other:,} differ"
        )


def compare(options: Mapping[str, str], made: str) -> Cut:
    """A configuration beside the .config that was made with it."""
    found = kconfig.read_config(made)
    was = {name: value for name, value in options.items() if value != "n"}
    modules = [n for n, value in was.items() if value == "m" and n not in found]
    off = [n for n, value in was.items() if value != "m" and n not in found]
    other = [n for n, value in was.items() if n in found and found[n] != value]
    new = [n for n in found if n not in was]
    lines = [
        "# What the configuration had, and this kernel does not.",
        "", f"# {len(modules)} modules", *(f"{n}=m" for n in modules),
        "", f"# {len(off)} others", *(f"{n}={was[n]}" for n in off),
        "", f"# {len(other)} with another value here",
        *(f"{n}={was[n]}  # here {found[n]}" for n in other),
        "", f"# {len(new)} that were off, and are on here",
        *(f"# {n} is not set  # here {found[n]}" for n in new),
    ]  # fmt: skip
    return Cut(len(modules), len(off), len(other), len(was), "\n".join(lines) + "\n")
