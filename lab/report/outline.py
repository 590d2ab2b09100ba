# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as every report has it: its cells, and what was run on what. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.verdict.cell import CellVerdict


@dataclass(frozen=True)
class Outline:
    """``began``: UTC, ISO 8601. ``host``: the name of the machine that the lab ran on. ``facts``:
    by name, in words. ``kernels``: where each is from, as manifest.json has it.
    """

    run: str
    cells: tuple[CellVerdict, ...] = ()
    began: str = ""
    host: str = ""
    command: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    kernels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def make_outline(run: str, manifest: Mapping[str, Any], cells: Sequence[CellVerdict]) -> Outline:
    """Out of a run's manifest.json; what that does not say is left out."""
    machine, supplies = manifest.get("machine") or {}, manifest.get("supplies") or {}
    return Outline(
        run,
        tuple(cells),
        str(manifest.get("began", "")),
        str(machine.get("name", "")),
        str(manifest.get("command", "")),
        {name: text for name, text in _list_facts(manifest, machine, supplies) if text},
        dict(supplies.get("kernels") or {}),
    )


def _list_facts(
    manifest: Mapping[str, Any], machine: Mapping[str, Any], supplies: Mapping[str, Any]
) -> list[tuple[str, str]]:
    qemu, accelerator = supplies.get("qemu") or {}, supplies.get("accelerator") or {}
    xen = supplies.get("xen") or {}
    kernels = supplies.get("kernels") or {}
    words = [machine.get("processor"), machine.get("system"), machine.get("kernel")]
    cores = f"{machine['cores']} cores" if "cores" in machine else ""
    return [
        ("lab", str(manifest.get("lab", ""))),
        ("rules", str(manifest.get("rules", ""))),
        ("machine", ", ".join(str(word) for word in (*words[:1], cores, *words[1:]) if word)),
        ("qemu", _join(qemu.get("version"), accelerator.get("name"))),
        ("xen", _join(xen.get("package"), xen.get("version"))),
        *((f"kernel {n}", _join(k.get("version"), k.get("source"))) for n, k in kernels.items()),
        ("night", str(manifest.get("night") or "")),
        ("job", str(manifest.get("job") or "")),
        ("command", str(manifest.get("command", ""))),
    ]


def _join(*words: Any) -> str:
    return " ".join(str(word) for word in words if word)


def say_outcome(cells: Sequence[CellVerdict]) -> str:
    """The cells in one sentence, without its full stop."""
    if not cells:
        return "no cells"
    many = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    wrong = [cell for cell in cells if cell.verdict is not None and not cell.as_expected]
    impossible = sum(cell.verdict is None for cell in cells)
    beside = f" ({impossible} impossible here)" if impossible else ""
    if not wrong:
        return f"{many}, all as expected{beside}"
    named = [f"{c.cell.id} {c.verdict.value}" for c in wrong[:4] if c.verdict is not None]
    more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
    return f"{len(wrong)} of {many} not as expected: {', '.join(named)}{more}{beside}"
