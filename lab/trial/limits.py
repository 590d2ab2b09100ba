# SPDX-License-Identifier: GPL-2.0-or-later
"""How many boots run side by side: as this machine, and the host in it, have room for."""

from __future__ import annotations

from lab.config.kinds import GuestKind
from lab.config.lab import LabConfig
from lab.host.plan import PER_GUEST_MIB, find_room
from lab.system.machine import available_mib, cores

QEMU_MIB = 128  # of a QEMU, besides its guest's memory; seen: 60 to 110


def guests_at_once(config: LabConfig, name: str = "") -> int:
    """As many as lab.yaml asks for; on a nested host no more than its memory and processors hold.

    dom0 and Xen keep their parts, and Xen needs a little for each guest besides its memory.
    ``name``: of a Xen host, from hosts.
    """
    host = config.host_of(name)
    if host.kind == "real":
        return host.guests_at_once
    fitting = find_room(host.memory_mib) // (config.guests.memory_mib + PER_GUEST_MIB)
    return max(1, min(host.guests_at_once, host.vcpus, fitting))


def alone(guest: GuestKind, emulated: bool) -> bool:
    """Whether a guest must have the host to itself.

    pvh and hvm guests need SVM, and QEMU 7.2's emulated one is not safe with two busy processors:
    of 36 such guests that could have another one beside them, four suddenly rebooted or powered
    off; of 103 that had the host to themselves, none did.
    """
    return emulated and guest in ("pvh", "hvm")


def machines_at_once(config: LabConfig, beside_host: bool) -> int:
    """QEMUs of single guests, each of which keeps a processor busy; at least one.

    ``beside_host``: the nested host is one of them, with its own memory; of several, which run
    one after the other, the largest counts.
    """
    hosts = [config.host, *(host for host in config.hosts.values() if not host.of_boards)]
    largest = max(host.memory_mib for host in hosts)
    free = available_mib() - (largest if beside_host else 0)
    fitting = find_room_for(config, free) + beside_host
    return max(1, min(cores(), fitting))


def find_room_for(config: LabConfig, free_mib: int) -> int:
    """QEMUs of single guests that fit into so much memory."""
    return free_mib // (config.guests.memory_mib + QEMU_MIB)
