# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole of lab.yaml: its parts, and the checks between them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from lab.config.board import BoardConfig
from lab.config.cellname import BOARD_OF, CLUSTER, OWN_HOSTS, is_cluster
from lab.config.claim import ClaimConfig
from lab.config.cluster import ClusterConfig
from lab.config.confidence import ConfidenceConfig
from lab.config.host import HostConfig
from lab.config.hosts import RUNS, NamedHostConfig
from lab.config.keep import KeepConfig
from lab.config.kernel import KERNEL_ORG, KernelConfig, check_trees
from lab.config.kinds import GUEST_KINDS, ON_XEN, Expectation, GuestKind, HostKind
from lab.config.model import MAX_SHIFT, Args, Model, check_args
from lab.config.nightly import NightlyConfig
from lab.config.notify import NotifyConfig
from lab.config.stress import Settings, StressConfig, check_settings
from lab.config.xen import XenConfig
from lab.system.download import check_mirror

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a name: use letters, digits and ._+- (no ~, no spaces)")
    return name


class GuestsConfig(Model):
    """What every guest gets."""

    memory_mib: int = Field(256, ge=64, description="Memory of a guest, in MiB.")


class VariationConfig(Model):
    """How a cell differs from the plain one."""

    args: Args = ""
    vcpus: int = Field(1, ge=1, le=16, description="The guest's processors.")
    settings: Settings = Field(default_factory=dict, description="As stress.settings.")
    xen: str | None = Field(None, description="A name from xens; the one under xen by default.")

    _args = field_validator("args")(check_args)
    _settings = field_validator("settings")(check_settings)


class MatrixConfig(Model):
    """Which cells there are: kernels x guests x variations x hosts, plus include, minus exclude."""

    kernels: list[str] | None = Field(None, description="Names from kernels; all by default.")
    guests: list[GuestKind] = Field(default_factory=lambda: list(GUEST_KINDS))
    variations: list[str] = Field(
        default_factory=lambda: ["plain"], description="Names from variations; plain: none."
    )
    hosts: list[str] | None = Field(
        None,
        min_length=1,
        description="Names from hosts; nested: the one under host, as by default.",
    )
    include: list[str] = Field(default_factory=list, description="More cells, by id.")
    exclude: list[str] = Field(default_factory=list, description="Cells left out, by id or glob.")


class LabConfig(Model):
    """The whole of lab.yaml."""

    host: HostConfig = HostConfig()
    xen: XenConfig = XenConfig()
    xens: dict[str, XenConfig] = Field(
        default_factory=dict, description="More hypervisors by name, for variations."
    )
    boards: dict[str, BoardConfig] = Field(
        default_factory=dict, description="Machines with power, console and boot (docs/boards.md)."
    )
    hosts: dict[str, NamedHostConfig] = Field(
        default_factory=dict, description="More hosts by name (docs/hosts.md)."
    )
    kernels: dict[str, KernelConfig] = Field(min_length=1)
    mirror: str | list[str] = Field(
        KERNEL_ORG,
        description="Where releases come from, laid out as kernel.org's pub/linux/kernel: a "
        "folder, a file: or an https: address; or a list, asked in this order.",
    )
    keyring: Path | None = Field(
        None,
        description="Public keys that may sign releases, besides those of lab/kernel/keys; "
        "relative to this file.",
    )
    guests: GuestsConfig = GuestsConfig()
    stress: StressConfig = StressConfig()
    variations: dict[str, VariationConfig] = Field(default_factory=dict)
    matrix: MatrixConfig = MatrixConfig()
    trials: int = Field(3, ge=1, le=1000, description="Fresh boots of a clean cell, at least.")
    confidence: ConfidenceConfig = ConfidenceConfig()
    icount: int | None = Field(
        None,
        ge=0,
        le=MAX_SHIFT,
        description="Deterministic boots, an instruction taking 2^icount ns of guest time; "
        "null: at the machine's own speed. `lab run --deterministic` is 1.",
    )
    expect: dict[Expectation, list[str]] = Field(
        default_factory=dict, description="What cells should show, by id or glob."
    )
    known: dict[str, str] = Field(
        default_factory=dict,
        description="Labels of known bugs, by the id or glob of the cells that show them.",
    )
    keep: KeepConfig = KeepConfig()
    claims: dict[str, ClaimConfig] = Field(
        default_factory=dict,
        description="Sentences that the cells test; claims.txt has the outcome.",
    )
    cluster: ClusterConfig = ClusterConfig()
    nightly: NightlyConfig = NightlyConfig()
    notify: NotifyConfig = NotifyConfig()
    results: Path | None = Field(
        None,
        description="Where the runs' folders are made, relative to this file; null: results/ in "
        "the current folder. --results and $LAB_RESULTS have precedence.",
    )

    @field_validator("mirror")
    @classmethod
    def _mirrors(cls, value: str | list[str]) -> str | list[str]:
        if not value:
            raise ValueError("a list of mirrors has at least one")
        for mirror in [value] if isinstance(value, str) else value:
            check_mirror(mirror)
        return value

    @model_validator(mode="after")
    def _check_xens(self) -> LabConfig:
        for name, variation in self.variations.items():
            if variation.xen is not None and variation.xen not in self.xens:
                known = ", ".join(self.xens) or "none"
                raise ValueError(
                    f"variations.{name}.xen: {variation.xen!r} is not under 'xens:' ({known})"
                )
        return self

    @model_validator(mode="after")
    def _check_hosts(self) -> LabConfig:
        for name, host in self.hosts.items():
            problem = self._find_problem(name, host)
            if problem:
                raise ValueError(f"hosts.{name}: {problem}")
        self.check_host_names(self.matrix.hosts or [], "matrix.hosts")
        return self

    @model_validator(mode="after")
    def _check_jobs(self) -> LabConfig:
        for name, job in self.nightly.jobs.items():
            where = f"nightly.jobs.{name}"
            if job.plan is not None:
                continue  # its names are those of another file
            self.check_host_names(job.hosts or [], f"{where}.hosts")
            check_trees(self.kernels, job.git, f"{where}.git")
        return self

    def _find_problem(self, name: str, host: NamedHostConfig) -> str:
        """What is wrong with a host, in words; empty when nothing is."""
        if name == CLUSTER:
            return "is the name of the machines under 'cluster:' together"
        if name in OWN_HOSTS.values():
            if name == self.own_host and host.is_plain_nested():
                return ""
            return "is the name of the host under 'host:'; its settings stand there"
        if not host.of_boards:
            return ""
        names = self.boards_of(name)
        if not names:
            known = ", ".join(sorted({tag for b in self.boards.values() for tag in b.tags}))
            return f"no board has the tag {host.tag!r} ({known or 'none has any'})"
        for one in names:
            board = self.boards.get(one)
            if board is None:
                known = ", ".join(self.boards) or "none"
                return f"the board {one!r} is not under 'boards:' ({known})"
            if board.boot is None and board.ssh is None:
                return (
                    f"boards.{one} has neither 'boot', for native and dom0 cells, nor 'ssh', "
                    "for guests on its own Xen"
                )
        return ""

    @property
    def mirrors(self) -> tuple[str, ...]:
        """Where releases come from, in the order in which they are asked."""
        given = [self.mirror] if isinstance(self.mirror, str) else self.mirror
        return tuple(mirror.rstrip("/") or "/" for mirror in given)

    @property
    def own_host(self) -> str:
        """What the host under `host:` is called where a name is needed."""
        return OWN_HOSTS[self.host.kind]

    def list_hosts(self) -> list[str]:
        """The names of all hosts, the one under `host:` first. Not those of a host's boards."""
        return list(dict.fromkeys([self.own_host, *self.hosts]))

    def list_pooled(self) -> list[str]:
        """HOST=BOARD for each board of each host that has several."""
        return [f"{name}{BOARD_OF}{board}" for name in self.hosts for board in self.pool_of(name)]

    def has_host(self, name: str) -> bool:
        """Whether there is such a host, or such a board of a host with several (HOST=BOARD)."""
        return name in self.list_hosts() or name in self.list_pooled()

    def check_host_names(self, names: list[str], where: str) -> None:
        """ValueError for a name of no host."""
        for name in names:
            if not self.has_host(name):
                known = ", ".join(self.list_hosts())
                raise ValueError(f"{where}: {name!r} is not under 'hosts:' (there are {known})")

    def host_of(self, name: str) -> HostConfig:
        """A nested or real host by a cell's word for it; empty: the one under `host:`.

        A cluster's machines boot with the settings of `host:`.
        """
        ours = name in ("", self.own_host) or is_cluster(name)
        return self.host if ours else self.hosts[name]

    def boards_of(self, name: str) -> list[str]:
        """The names of the host's boards; none for a host that is not one."""
        host, at, board = name.partition(BOARD_OF)
        named = self.hosts.get(host)
        if host == CLUSTER:
            return []
        if at:
            return [board]
        if named is None or not named.of_boards:
            return []
        if named.tag is not None:
            return [name for name, one in self.boards.items() if named.tag in one.tags]
        return [named.board] if isinstance(named.board, str) else list(named.board or ())

    def xen_of(self, name: str) -> XenConfig:
        """The hypervisor of that name under `xens:`, or for "" the one under `xen:`."""
        return self.xens[name] if name else self.xen

    def pool_of(self, name: str) -> list[str]:
        """The boards of a host that has several; none for any other."""
        found = self.boards_of(name)
        return found if len(found) > 1 else []

    def board_of(self, name: str) -> str:
        """The name of the host's only board; empty for a host with several or none."""
        found = self.boards_of(name)
        return found[0] if len(found) == 1 else ""

    def boot_seconds(self, name: str) -> int:
        """How long a boot may take on a host that is a board, or on one of its boards."""
        return self.hosts[name.partition(BOARD_OF)[0]].boot_seconds

    def kind_of(self, name: str) -> HostKind:
        if is_cluster(name):
            return "nested"
        return "board" if self.boards_of(name) else self.host_of(name).kind

    def runs(self, guest: GuestKind, name: str) -> bool:
        """Whether a host runs such guests. QEMU boots native and dom0 cells beside `host:`."""
        if name in ("", self.own_host):
            return True
        boards = self.boards_of(name)
        if not boards:
            return guest in RUNS[self.kind_of(name)]
        return not self._unable(guest, boards)

    def _unable(self, guest: GuestKind, boards: list[str]) -> list[str]:
        """Of these boards, those that cannot run such guests.

        Its own Xen takes guests; a kernel of ours needs a way to get onto it.
        """
        return [
            name
            for name in boards
            if (self.boards[name].ssh if guest in ON_XEN else self.boards[name].boot) is None
        ]

    def say_lack(self, guest: GuestKind, name: str) -> str:
        """Why a host does not run such guests, in words."""
        boards = self.boards_of(name)
        if not boards:
            return f"{name!r} is a {self.kind_of(name)} host, which runs no {guest} cells"
        part = "ssh" if guest in ON_XEN else "boot"
        unable = self._unable(guest, boards)[0]
        return f"{name!r} is a board that runs no {guest} cells: boards.{unable} has no {part!r}"

    @field_validator("kernels", "variations", "xens", "boards", "hosts")
    @classmethod
    def _names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            _check_name(name)
        return value


def with_mirror(config: LabConfig, other: LabConfig) -> LabConfig:
    """The configuration with another's mirror, keyring and cluster, where it has not its own."""
    change = {
        key: getattr(other, key)
        for key in ("mirror", "keyring", "cluster")
        if key not in config.model_fields_set
    }
    return config.model_copy(update=change)
