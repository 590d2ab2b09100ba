# SPDX-License-Identifier: GPL-2.0-or-later
"""The probe's evidence: a folder for each guest in ``probe/`` of a run's folder."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.config.kinds import GUEST_KINDS, GuestKind
from lab.console.records import PROBE_MARK, parse
from lab.console.watch import Ending
from lab.errors import UserError
from lab.evidence.content import dump, dump_records, load
from lab.probe.judge import Finding, judge
from lab.system.files import write_atomic

NAME = "probe"


class Evidence:
    """Of one guest: console.log, command.json, ended.json, records.jsonl, verdict.json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.console = path / "console.log"

    @property
    def kind(self) -> GuestKind:
        """The folder is named after it."""
        return next(kind for kind in GUEST_KINDS if kind == self.path.name)

    @property
    def whole(self) -> bool:
        """Whether the guest was asked to its end."""
        return (self.path / "verdict.json").is_file()

    def begin(self, nonce: str, place: dict[str, Any]) -> None:
        """Before the boot: what is booted, and the nonce that ties the console to it.

        An earlier attempt that was interrupted is removed.
        """
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)
        write_atomic(self.path / "command.json", dump({"nonce": nonce, **place}))
        self.console.touch()

    def end(self, ending: Ending) -> Finding:
        """After it: how it ended, and what the console shows."""
        write_atomic(self.path / "ended.json", dump(asdict(ending)))
        found = parse(self.console.read_bytes(), PROBE_MARK).records
        write_atomic(self.path / "records.jsonl", dump_records(found))
        finding = self.judge()
        write_atomic(self.path / "verdict.json", dump(finding.as_json()))
        return finding

    def judge(self) -> Finding:
        """From the raw console; UserError where the folder is not whole."""
        nonce = str(load(self.path / "command.json")["nonce"])
        ending = Ending(**load(self.path / "ended.json"))
        return judge(self.kind, nonce, self.console.read_bytes(), ending)

    def read_verdict(self) -> dict[str, Any]:
        return load(self.path / "verdict.json")


def find_evidence(place: Path) -> list[Evidence]:
    """Every guest's folder below ``place``, of each Xen in the order of the kinds.

    UserError without any.
    """
    xens = [place, *sorted(path for path in place.glob("*") if path.name not in GUEST_KINDS)]
    paths = [xen / kind for xen in xens for kind in GUEST_KINDS]
    found = [Evidence(path) for path in paths if path.is_dir()]
    if not found:
        raise UserError(f"{place}: has no folder of a probe's guest")
    return found
