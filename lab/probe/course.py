# SPDX-License-Identifier: GPL-2.0-or-later
"""Xen asked directly: is TS clear or set when a PV guest's #NM handler begins?

The story of `lab probe`, one guest after the other. No kernel under test, no statistics: each
guest is asked once, and says what it saw.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.config.kinds import ON_XEN, GuestKind
from lab.config.lab import LabConfig
from lab.console.watch import Ending
from lab.errors import LabError, UserError
from lab.host import guest
from lab.host.plan import PER_GUEST_MIB, find_room
from lab.probe import place
from lab.probe.folder import NAME, Evidence
from lab.probe.judge import Finding
from lab.qemu import accelerator, choice
from lab.supplies.gather import Supplies, gather_host
from lab.supplies.program import probe
from lab.trial.job import Job
from lab.trial.xenhost import XenHost
from lab.xen.hypervisor import resolve

Say = Callable[[Finding], None]


@dataclass(frozen=True)
class Asked:
    """``kinds``: in the order of asking. ``xen``: a name from xens, or "" for the one under xen.

    ``under``: the guests' folders are made there, below the run's folder.
    """

    kinds: tuple[GuestKind, ...]
    xen: str = ""
    under: str = NAME


def check(config: LabConfig, asked: Asked) -> None:
    """UserError for what cannot be asked, before anything is downloaded, built or written."""
    if asked.xen and asked.xen not in config.xens:
        known = ", ".join(config.xens) or "none"
        raise UserError(
            f"--xen {asked.xen}: should be a name under 'xens:' of lab.yaml (it has {known})"
        )
    if not _on_host(asked.kinds):
        return
    if config.host.kind != "nested":
        raise UserError(
            "lab.yaml: host.kind is real: the probe asks only the nested host's Xen; "
            "name native and dom0 alone"
        )
    if find_room(config.host.memory_mib) < place.MEMORY_MIB + PER_GUEST_MIB:
        raise UserError(
            f"lab.yaml: host.memory_mib: {config.host.memory_mib} leaves no room for a guest of "
            f"{place.MEMORY_MIB} MiB"
        )


def add_args(config: LabConfig, xen: str, args: str) -> LabConfig:
    """With more words on that Xen's command line: pure."""
    if not args:
        return config
    known = config.xen_of(xen)
    changed = known.model_copy(update={"args": f"{known.args} {args}".strip()})
    return config.model_copy(
        update={"xens": {**config.xens, xen: changed}} if xen else {"xen": changed}
    )


def gather(config: LabConfig, asked: Asked, report: Callable[[str, str], None]) -> Supplies:
    """QEMU, the hypervisor, the probe's images; dom0's image only for guests of the host.

    UserError for a kind that this machine cannot run.
    """
    chosen = config.xen_of(asked.xen)
    images = [probe(64), probe(32)]
    if _on_host(asked.kinds):
        supplies = gather_host(config, report)
    else:
        binary = choice.choose(config.host.accelerator, lambda state: report("QEMU", state))
        accel = accelerator.decide(binary, config.host.accelerator)
        supplies = Supplies(binary, accel, images[0], images[1], {}, None, None)
    _check_kinds(supplies, asked.kinds)
    if "dom0" not in asked.kinds and not (asked.xen and _on_host(asked.kinds)):
        return supplies
    found = resolve(chosen, lambda state: report("Xen", state))
    report("Xen", f"ready: {found.version}")
    return replace(supplies, xen=found, xens={asked.xen: found} if asked.xen else {})


def _check_kinds(supplies: Supplies, kinds: Iterable[GuestKind]) -> None:
    accel, qemu = supplies.accel, supplies.qemu
    if accel.nests:
        return
    runs = ("native", "dom0", "pv") if accel.name == "kvm" else qemu.kinds
    why = accel.why if accel.name == "kvm" else f"QEMU {qemu.version}: {qemu.why}"
    for kind in kinds:
        if kind not in runs:
            raise UserError(f"{kind} is impossible here: {why}")


def ask(job: Job, asked: Asked, say: Say) -> list[Finding]:
    """Every kind once; ``say`` gets each finding as it comes.

    A fault of the lab's is one guest's LAB_ERROR, and the others are asked all the same.
    """
    findings = []

    def keep(finding: Finding) -> None:
        findings.append(finding)
        say(finding)

    for kind in asked.kinds:
        if kind not in ON_XEN:
            keep(_ask_machine(job, asked, kind))
    on_host = _on_host(asked.kinds)
    if on_host:
        _ask_host(job, asked, on_host, keep)
    return findings


def _on_host(kinds: Sequence[GuestKind]) -> list[GuestKind]:
    return [kind for kind in kinds if kind in ON_XEN]


def _begin(job: Job, asked: Asked, kind: GuestKind) -> tuple[Evidence, str, str]:
    """The guest's folder, its nonce, and the words that carry it."""
    job.board.state(kind, "asking")
    nonce = secrets.token_hex(4)
    return Evidence(job.folder.path / asked.under / kind), nonce, f"probe.run={nonce}"


def _ask_machine(job: Job, asked: Asked, kind: GuestKind) -> Finding:
    evidence, nonce, words = _begin(job, asked, kind)
    chosen = job.config.xen_of(asked.xen)
    argv = place.make_command(job.supplies, kind, chosen.args, words, evidence.console)
    evidence.begin(nonce, {"qemu": argv})
    return evidence.end(place.boot_machine(argv, evidence.console, job.stop))


def _ask_host(
    job: Job, asked: Asked, kinds: Sequence[GuestKind], keep: Callable[[Finding], None]
) -> None:
    host = XenHost(job, asked.xen)
    try:
        failed = _start(host)
        for kind in kinds:
            keep(_ask_guest(job, asked, kind, host, failed))
    finally:
        host.stop(keep=False)


def _start(host: XenHost) -> str:
    """Empty, or why it did not become ready."""
    try:
        host.start()
    except LabError as error:
        return str(error)
    return ""


def _ask_guest(job: Job, asked: Asked, kind: GuestKind, host: XenHost, failed: str) -> Finding:
    evidence, nonce, words = _begin(job, asked, kind)
    image: Path = probe(64 if kind == "pv" else 32)
    emulated = job.supplies.accel.name == "tcg"
    name, cpus = f"{kind}-{nonce}", job.config.host.vcpus
    planned = place.make_spec(kind, name, str(image), words, cpus, emulated)
    evidence.begin(nonce, {"xl": guest.xl_config(planned).splitlines()})
    if failed:
        return evidence.end(Ending("lab_error", failed))
    try:
        host.check()
        spec = replace(planned, kernel=guest.upload(host.shell, image))
        return evidence.end(place.boot_guest(host.shell, spec, evidence.console, job.stop))
    except LabError as error:
        return evidence.end(Ending("lab_error", str(error)))
