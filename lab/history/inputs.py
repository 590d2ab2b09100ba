# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell was run with, in words that differ when it differs. Pure.

A result can differ because the kernel does, or because something else does. So everything that a
cell's rate may depend on has a name here: kernel, xen, qemu, accelerator, firmware, dom0 (the Xen
host's packages), program, settings, stress (when a boot ends), machine, and rules (by which the
lab judged).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lab.config.cellname import is_cluster
from lab.config.cells import Cell
from lab.system.files import sha256_of

_SHORT = 12  # hex digits of a hash that a person sees


def find_inputs(cell: Cell, manifest: dict[str, Any], stress: str = "") -> dict[str, str]:
    """By name; what a manifest does not say is left out. ``stress``: as ``say_stress`` says it."""
    supplies = _part(manifest, "supplies")
    found = {
        "kernel": _say_built(_part(_part(supplies, "kernels"), cell.kernel)),
        "xen": "" if cell.guest == "native" else _find_xen(cell, supplies),
        "program": _shorten(_part(supplies, "program").get("sha256")),
        "settings": _say_settings(cell),
        "stress": stress,
        "rules": str(manifest.get("rules", "")),
    }
    if cell.board:
        kind = "cluster" if is_cluster(cell.host) else "board"
        found["machine"] = f"{kind} {cell.board}"
    else:
        found |= _find_machine(manifest, supplies)
    if cell.nested and not cell.board:
        found["dom0"] = _say_image(_part(supplies, "dom0_image"))
    return {name: text for name, text in found.items() if text}


def say_stress(config: dict[str, Any]) -> str:
    """When a boot ends, and what else bears on a rate, from config.json; it may be empty."""
    stress, confidence = _part(config, "stress"), _part(config, "confidence")
    memory, shift = _part(config, "guests").get("memory_mib"), config.get("icount")
    words = [
        _count(stress.get("seconds"), "s"),
        f"stop {stress['stop']}" if "stop" in stress else "",
        _count(confidence.get("control_hits"), "hits of a control"),
        _count(stress.get("windows"), "windows"),
        _count(stress.get("arch"), "bit"),
        _count(memory, "MiB"),
        f"icount {shift}" if shift is not None else "",
    ]
    return ", ".join(word for word in words if word)


def find_changed(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Each input that differs: what it was, and what it is; empty for what was not known."""
    names = [*before, *(name for name in after if name not in before)]
    pairs = {name: (before.get(name, ""), after.get(name, "")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _part(content: dict[str, Any], key: str) -> dict[str, Any]:
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def _shorten(digest: Any) -> str:
    return str(digest)[:_SHORT] if digest else ""


def _say_built(facts: dict[str, Any]) -> str:
    """Version, revision of its tree where it has one, and hash."""
    commit, digest = _shorten(facts.get("source_commit")), _shorten(facts.get("sha256"))
    words = [facts.get("version"), f"commit {commit}" if commit else "", digest]
    return " ".join(str(word) for word in words if word)


def _find_xen(cell: Cell, supplies: dict[str, Any]) -> str:
    facts = _part(_part(supplies, "xens"), cell.xen) if cell.xen else _part(supplies, "xen")
    said = " ".join(word for word in (_say_built(facts), str(facts.get("args") or "")) if word)
    if said or cell.xen:
        return said
    packages = _part(_part(supplies, "dom0_image"), "packages")  # a nested host's own hypervisor
    return next((f"{n} {v}" for n, v in packages.items() if n.startswith("xen-hyper")), "")


def _find_machine(manifest: dict[str, Any], supplies: dict[str, Any]) -> dict[str, str]:
    qemu, machine = _part(supplies, "qemu"), _part(manifest, "machine")
    words = [machine.get("processor"), _count(machine.get("cores"), "cores"), machine.get("kernel")]
    return {
        "qemu": str(qemu.get("version", "")),
        "firmware": _say_firmware(_part(qemu, "firmware")),
        "accelerator": str(_part(supplies, "accelerator").get("name", "")),
        "machine": ", ".join(str(word) for word in words if word),
    }


def _count(number: Any, what: str) -> str:
    return f"{number} {what}" if number else ""


def _say_firmware(hashes: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_shorten(digest)}" for name, digest in sorted(hashes.items()))


def _say_settings(cell: Cell) -> str:
    """The boot's arguments, processors, and the stress program's settings."""
    words = [cell.args] if cell.args else []
    words += [f"{cell.vcpus} vCPUs"] if cell.vcpus != 1 else []
    words += [f"{name}={value}" for name, value in sorted(cell.settings.items())]
    return " ".join(words) or "as by default"


def _say_image(facts: dict[str, Any]) -> str:
    packages = _part(facts, "packages")
    if not packages:
        return _shorten(facts.get("sha256"))
    digest = _shorten(sha256_of(json.dumps(packages, sort_keys=True)))
    return f"{len(packages)} packages {digest}"


def say_changed(changed: Mapping[str, tuple[str, str]]) -> list[str]:
    """A line for each input of ``find_changed``."""
    return [f"{name}: {was or '?'} -> {now or '?'}" for name, (was, now) in changed.items()]
