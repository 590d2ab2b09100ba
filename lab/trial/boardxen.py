# SPDX-License-Identifier: GPL-2.0-or-later
"""A board's Xen as a run's Xen host: its known-good one, or one under test in front of its dom0."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from lab.config.board import BoardConfig, GrubBoot
from lab.errors import LabError
from lab.host import grub, guest
from lab.host.grub import Loaded
from lab.system.clock import now
from lab.system.deadline import Deadline
from lab.system.files import sha256_of
from lab.trial.board import Machine
from lab.trial.goodsystem import GoodSystem
from lab.trial.xenhost import XenHost
from lab.xen.hypervisor import Xen

_GONE_SECONDS = 120.0  # a system with many services takes its time to end


@dataclass
class BoardXen(XenHost):
    """``xen``: a name from xens. The board is had already, and switched off by who has it."""

    machine: Machine | None = None
    good: GoodSystem | None = None
    config: BoardConfig | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._nonce = ""  # of the Xen under test, while that is what runs

    @property
    def _parts(self) -> tuple[Machine, GoodSystem, BoardConfig]:
        assert self.machine is not None
        assert self.good is not None
        assert self.config is not None
        return self.machine, self.good, self.config

    @property
    def under_test(self) -> Xen | None:
        """The hypervisor that is booted in front of the board's dom0; None: the board's own."""
        if not self.xen and self.job.config.xen.packaged:
            return None
        return self.job.supplies.hypervisor(self.xen)

    def start(self) -> None:
        """Up with the right Xen; LabError with the reason when it is not."""
        from playbooks.prepare import make_ready

        _, good, _ = self._parts

        def report(state: str) -> None:
            self.job.board.state(self._row, state)

        self._nonce = ""
        good.bring_up(report)
        make_ready(good.shell)
        if self.under_test is not None:
            self._boot_under_test(self.under_test, report)
        self._real = good.shell
        guest.destroy_leftovers(good.shell)
        self.job.board.finish(self._row, None, "ready", None)

    def check(self) -> None:
        """Called before each guest: still up with the same Xen, or up again."""
        _, good, _ = self._parts
        with self._checking:
            if self._nonce:
                if not good.runs(self._nonce):
                    self.start()
            else:
                good.bring_up(lambda state: self.job.board.state(self._row, state))

    def stop(self, keep: bool) -> None:
        """Does nothing: the board is switched off by who has it."""

    def _boot_under_test(self, wanted: Xen, report: Callable[[str], None]) -> None:
        machine, good, config = self._parts
        if not isinstance(config.boot, GrubBoot):
            raise LabError(
                f"{good.name}: a Xen under test with the board's own dom0 is booted by its GRUB: "
                "give it 'boot: {kind: grub}'"
            )
        report("booting the Xen under test")
        found = grub.read_grub(good.shell, config.boot.folder, good.name)
        nonce = secrets.token_hex(6)
        own = good.xen_info().get("xen_commandline", "")
        loaded = Loaded(
            found.own.kernel,
            found.own.ramdisk,
            found.own.args,
            grub.put_file(good.shell, wanted.image, config.boot.folder, found),
            front_words(own, nonce, wanted.args),
        )
        token = sha256_of(nonce)[:12]
        text = grub.write_boot(token, loaded, found.own)
        with machine.console.follow(self.evidence / "xen-console.log"):
            grub.boot_once(good.shell, found, token, text, good.name)
            Deadline(_GONE_SECONDS).wait_for(
                lambda: not good.greets(), f"{good.name} to end its own system", every=1.0
            )
            good.wait()
        prove(good.xen_info(), nonce, wanted, good.name)
        self._nonce = nonce
        self.job.folder.write(
            f"{self.evidence.relative_to(self.job.folder.path)}/xen.json",
            {"board": good.name, "xen": wanted.provenance(), "nonce": nonce, "at": now()},
        )


def front_words(own: str, nonce: str, more: str) -> str:
    """The board's own words for Xen, with ``lab=`` that ties `xl info` to this boot: pure."""
    words = [w for w in own.split() if w != "placeholder" and not w.startswith("lab=")]
    return " ".join([*words, f"lab={nonce}", *more.split()])


def prove(info: dict[str, str], nonce: str, wanted: Xen, name: str) -> None:
    """LabError unless what runs, by its `xl info`, is the Xen under test and of this boot."""
    if f"lab={nonce}" not in info.get("xen_commandline", "").split():
        raise LabError(
            f"{name}: the Xen under test did not come up: the board came back with its own system"
        )
    content = wanted.image.read_bytes()
    for key in ("cc_compile_date", "xen_extra"):
        seen = info.get(key, "").encode()
        if seen not in content:
            raise LabError(
                f"{name}: xl info shows {key} {seen.decode()!r}, which is not in {wanted.image}: "
                "it is another Xen than the one under test"
            )
