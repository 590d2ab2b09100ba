# SPDX-License-Identifier: GPL-2.0-or-later
"""Console output is untrusted: the part of it that may reach a terminal, a page or a report."""

from __future__ import annotations

import re
from collections.abc import Iterator

_ESCAPES = re.compile(
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|[ -/]*[0-~]?)"
)
_LINE = re.compile(r"[^\n\u2028\u2029]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

DEATHS = (
    re.compile(r"Kernel panic - not syncing.*"),
    re.compile(r"\bOops: .*"),
    # Emulated time jumps: a lockup warning is not a death.
    re.compile(r"\bBUG: (?!soft lockup|workqueue lockup).*"),
    re.compile(r"kernel BUG at .*"),
    re.compile(r"general protection fault.*"),
    re.compile(r"double fault.*"),
    re.compile(r"Panic on CPU.*"),
    re.compile(r"FATAL TRAP.*"),
    re.compile(r"Domain \d+ crashed.*"),
    re.compile(r"domain_crash.*"),
)

# dom0 survives an Oops of one of its programs: only these end a host.
_ENDS_OF_HOSTS = ("Panic on CPU", "Kernel panic - not syncing", "Hardware Dom0 crashed")


def clean(raw: bytes) -> str:
    """Text without escape sequences and control characters; line ends as newlines."""
    text = raw.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", _ESCAPES.sub("", text))


def tail(raw: bytes, lines: int = 15) -> str:
    """The last lines that are not empty, safe to show."""
    kept = [line for line in clean(raw[-65536:]).splitlines() if line.strip()]
    return "\n".join(line[:200] for line in kept[-lines:])


def death(raw: bytes) -> str | None:
    """The first line in which a kernel or Xen says that it died, safe to show."""
    lines = _lines(clean(raw))
    for line in lines:
        for pattern in DEATHS:
            found = pattern.search(line)
            if found:
                return _with_its_reason(found.group()[:160], next(lines, ""))[:160]
    return None


def _lines(text: str) -> Iterator[str]:
    """Those that are not empty, one after the other: a flood's lines are not kept all at once."""
    return (found.group() for found in _LINE.finditer(text) if not found.group().isspace())


def _with_its_reason(said: str, after: str) -> str:
    """Xen says that it panics in one line, and why in the next."""
    if not said.rstrip().endswith(":") or not after:
        return said
    return f"{said.rstrip()} {after[:200].removeprefix('(XEN)').strip()}"


def end_of_host(raw: bytes) -> str | None:
    """The line in which Xen or dom0 says that the whole machine is down, safe to show."""
    for line in _lines(clean(raw)):
        if any(words in line for words in _ENDS_OF_HOSTS):
            return line.strip()[:200]
    return None
