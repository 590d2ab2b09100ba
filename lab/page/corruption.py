# SPDX-License-Identifier: GPL-2.0-or-later
"""A failed check in a sentence: who looked, what was there, whose it was. Pure.

The fields are those of a ``corrupt`` record (repro/README.md).
"""

from __future__ import annotations

from collections.abc import Mapping


def explain(record: Mapping[str, str]) -> str:
    """Two or three sentences; fields that an older program does not write are left out."""
    who = f"{record.get('role', 'a task')} {record.get('id', '')}".strip()
    pid = f" (process {record['pid']})" if "pid" in record else ""
    register = record.get("reg", "a register")
    part = f", its {record['part']}," if "part" in record else ""
    said = (
        f"{_shorten(record.get('t', '?'))} s after the program's start, {who}{pid} looked at "
        f"{register}{part} and found {explain_owner(record.get('owner', ''))} instead of its own."
    )
    if "wrong" in record:
        files = record.get("files", "").replace(",", ", ")
        where = f" in the registers of {files}" if files else ""
        count = "1 value was" if record["wrong"] == "1" else f"{record['wrong']} values were"
        said += f" {count} wrong{where}."
    if "windows" in record:
        said += f" It was seen in window {record['windows']}."
    return said


def _shorten(seconds: str) -> str:
    """Two decimals are enough for a sentence."""
    whole, point, rest = seconds.partition(".")
    return f"{whole}{point}{rest[:2]}"


def explain_owner(owner: str) -> str:
    """``victim/1/182/mm0``, ``init`` or ``unknown``, in words."""
    if owner == "init":
        return "zero, the state of a register that nobody has loaded"
    words = owner.split("/")
    if owner in ("", "unknown") or len(words) < 2:
        return "a value that no task of the program has loaded"
    said = f"what {words[0]} {words[1]} had loaded"
    said += f" into {words[3]}" if len(words) > 3 else ""
    return said + (f" (its load number {words[2]})" if len(words) > 2 else "")
