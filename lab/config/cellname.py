# SPDX-License-Identifier: GPL-2.0-or-later
"""A cell's id, the only name of a cell: KIND-KERNEL~VARIATION@HOST. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from lab.config.kinds import GUEST_KINDS, GuestKind
from lab.errors import UserError

PLAIN = "plain"
# What the host under `host:` is called, by its kind. A cell's id does not say it.
# Between a host with several boards and one of these: `rack=b1`. Not a letter of names.
BOARD_OF = "="
OWN_HOSTS = {"nested": "nested", "real": "default"}
CLUSTER = "cluster"  # the host that the machines under `cluster:` are together


def is_cluster(host: str) -> bool:
    """Whether a cell's word for its host means the cluster, or a machine of it."""
    return host.partition(BOARD_OF)[0] == CLUSTER


def cell_id(guest: str, kernel: str, variation: str = PLAIN, host: str = "") -> str:
    """Such as ``pv-linux-3.19.8~2vcpu@rack1``."""
    text = f"{guest}-{kernel}" + ("" if variation == PLAIN else f"~{variation}")
    return f"{text}@{host}" if host else text


@dataclass(frozen=True)
class CellName:
    """The parts of an id. ``host`` is a name from hosts; empty: the one under `host:`."""

    guest: GuestKind
    kernel: str
    variation: str = PLAIN
    host: str = ""

    def __str__(self) -> str:
        return cell_id(self.guest, self.kernel, self.variation, self.host)

    @classmethod
    def parse(cls, text: str) -> CellName:
        """UserError for what is not an id."""
        rest, at, host = text.partition("@")
        guest, dash, rest = rest.partition("-")
        kernel, _, variation = rest.partition("~")
        kind = next((kind for kind in GUEST_KINDS if kind == guest), None)
        if not dash or kind is None or not kernel or (at and not host):
            raise UserError(
                f"{text!r} is not a cell id: it should read KIND-KERNEL, with ~VARIATION and "
                f"@HOST behind it where they are meant, KIND one of {', '.join(GUEST_KINDS)}"
            )
        return cls(kind, kernel, variation or PLAIN, host)


def fits(cell: str, glob: str) -> bool:
    """Whether an id or glob names a cell, given by its id.

    One without ``@`` names the cell on every host; after an ``@`` is the host's name, or a
    glob of it. The host under `host:` has its name there too (``OWN_HOSTS``).
    """
    plain, _, host = cell.partition("@")
    wanted, at, wanted_host = glob.partition("@")
    if not fnmatchcase(plain, wanted):
        return False
    # Of a host with several boards, its name means each of them too.
    hosts = [host, host.partition(BOARD_OF)[0]] if host else OWN_HOSTS.values()
    return not at or any(fnmatchcase(name, wanted_host) for name in hosts)
