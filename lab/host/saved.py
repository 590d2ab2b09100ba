# SPDX-License-Identifier: GPL-2.0-or-later
"""States of nested Xen hosts, saved right after a first boot, before any guest.

A state is a folder: ``memory`` (libvirt's save file: memory and devices), ``overlay.qcow2`` (what
that boot wrote to dom0's disk, never written again), ``console.log`` (what Xen and dom0 said) and
``facts.json``. It is made under another name and renamed, so that it is whole or absent, and its
name is a hash of all that it depends on. Its user holds the host's own lock.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.host.plan import HostPlan
from lab.host.state import HostFolder
from lab.qemu.identity import identify
from lab.qemu.kvm import read_nested
from lab.system.answers import cached_sha256, stamp
from lab.system.cache import building, require_space
from lab.system.files import sha256_of, write_atomic
from lab.system.machine import cpu_flags, processor

_VERSION = "1"  # of what is done to a host before it is saved
_KEPT = 3  # states, of one Xen each: some 250 MiB
_SPACE_MIB = 1000


@dataclass(frozen=True)
class SavedHost:
    """The state of one plan, there or not."""

    folder: Path

    @property
    def memory(self) -> Path:
        return self.folder / "memory"

    @property
    def overlay(self) -> Path:
        return self.folder / "overlay.qcow2"

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def _refusal(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.refused")

    def exists(self) -> bool:
        return self.folder.is_dir()

    def facts(self) -> dict[str, Any]:
        """``nonce`` of that Xen's command line, ``made`` in Unix seconds; {} when unreadable."""
        try:
            found = json.loads((self.folder / "facts.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) and "nonce" in found else {}

    def refused(self) -> bool:
        """Whether such a state was made here and did not resume: it is not made again."""
        return self._refusal.exists()

    def refuse(self, why: str) -> None:
        write_atomic(self._refusal, f"{why}\n")

    def make(
        self, overlay: Path, console: Path, facts: dict[str, Any], save: Callable[[Path], None]
    ) -> None:
        """Save by ``save``, which ends the host, and take its overlay. LabError when that fails."""
        require_space(self.folder.parent.parent, _SPACE_MIB, "the saved state of the Xen host")
        with building(self.folder) as scratch:
            made = SavedHost(scratch)
            save(made.memory)
            os.replace(overlay, made.overlay)
            shutil.copy(console, made.console)
            write_atomic(scratch / "facts.json", json.dumps(facts) + "\n")
            # A state that a power cut made half of would still have its name.
            for part in (made.memory, made.overlay):
                with part.open("rb") as file:
                    os.fsync(file.fileno())
        self._remove_oldest()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_oldest(self) -> None:
        states = [p for p in self.folder.parent.iterdir() if (p / "facts.json").is_file()]
        states.sort(key=lambda path: (path / "facts.json").stat().st_mtime, reverse=True)
        for old in states[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)


def find_saved(plan: HostPlan, name: str, folder: HostFolder, libvirt: str) -> SavedHost:
    """Where the plan's state is or would be. ``name`` and ``folder`` are the host's own."""
    return SavedHost(folder.path / "saved" / key(plan, name, folder, libvirt))


def key(plan: HostPlan, name: str, folder: HostFolder, libvirt: str) -> str:
    """Of everything that a state depends on; LabError when QEMU does not answer."""
    qemu = identify(Path(plan.qemu))
    image = plan.image
    parts = [
        _VERSION, plan.identity(), plan.xml(name, folder, "-", 0), libvirt,
        qemu.version, qemu.program, json.dumps(qemu.parts, sort_keys=True),
        *(cached_sha256(path) for path in (plan.hypervisor, image.kernel, image.ramdisk)),
        # The overlay's backing file is too large to hash each time.
        json.dumps(stamp(str(image.disk))),
    ]  # fmt: skip
    if plan.accelerator == "kvm":  # a guest sees the processor itself, as this kernel lets it
        parts += [processor(), cpu_flags(), read_nested(), platform.release()]
    return sha256_of(*parts)[:16]
