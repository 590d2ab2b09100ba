# SPDX-License-Identifier: GPL-2.0-or-later
"""A bisect on a host: every kernel, and the control, boots there."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.bisect.session import Kind, Sessions, own_controls
from lab.cli.bisect import at_host
from lab.config.cells import Cell, cells
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.errors import UserError
from lab.evidence.run import RunFolder
from lab.verdict.cell import CellVerdict
from lab.verdict.severity import Verdict
from tests.helpers.scripted import ONE_BOARD

EXPECT = "expect: {corrupts: [dom0-old]}\n"


def config() -> LabConfig:
    return parse(ONE_BOARD + EXPECT, Path("/somewhere/lab.yaml"))


def test_a_kind_may_name_its_host() -> None:
    kind = Kind.parse("dom0~2vcpu@rack1", config())
    assert kind.word == "dom0~2vcpu@rack1"
    assert kind.cell("abc") == "dom0-abc~2vcpu@rack1"
    assert Kind.parse("dom0@nested", config()) == Kind.parse("dom0", config())
    assert own_controls(config(), Kind.parse("dom0@rack1", config())) == ("dom0-old@rack1",)
    assert own_controls(config(), Kind.parse("dom0", config())) == ("dom0-old",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dom0@rack9", "'rack9' is not under 'hosts:'"),
        ("pv@rack1", "boards.b1 has no 'ssh'"),
        ("xen@rack1", "should be a guest kind"),
    ],
)
def test_a_wrong_host_is_one_sentence(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Kind.parse(text, config())


def test_host_and_cell_name_one_host() -> None:
    assert at_host("dom0", "rack1") == "dom0@rack1"
    assert at_host("dom0@rack1", None) == "dom0@rack1"
    with pytest.raises(UserError, match="names a host already"):
        at_host("dom0@rack1", "rack2")


def test_both_ends_and_the_control_boot_there(tmp_path: Path) -> None:
    seen: list[Cell] = []

    def boot(made: LabConfig, plan: list[Cell], _folder: RunFolder) -> list[CellVerdict]:
        seen.extend(plan)
        assert plan == cells(made)
        return [CellVerdict(cell, Verdict.CORRUPTS, "made up") for cell in plan]

    kind = Kind.parse("dom0@rack1", config())
    sessions = Sessions(config(), kind, boot, own_controls(config(), kind))
    folder = RunFolder.create(tmp_path)
    bad, good, controls = sessions.boot_ends(("a", Path("/a")), ("b", Path("/b")), folder)
    assert [bad.cell.id, good.cell.id] == ["dom0-a@rack1", "dom0-b@rack1"]
    assert [control.cell.id for control in controls] == ["dom0-old@rack1"]
    assert {cell.board for cell in seen} == {"b1"}
