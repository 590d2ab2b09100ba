# SPDX-License-Identifier: GPL-2.0-or-later
"""A validation on several hosts: which pairs there are, and what cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.cells import cells, control_of
from lab.config.kernel import KernelConfig
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.errors import UserError
from lab.evidence.run import RunFolder
from lab.validate.course import read_versions
from lab.validate.decision import in_question
from lab.validate.request import Request, list_kinds, names_of, of_kernels
from lab.verdict.facts import TrialFacts
from tests.helpers.scripted import ONE_BOARD


def config() -> LabConfig:
    return parse(ONE_BOARD, Path("/somewhere/lab.yaml"))


def test_all_kinds_of_two_hosts_are_those_that_each_runs() -> None:
    found = list_kinds(Request(hosts=("nested", "rack1")), config())
    assert found == ["native", "native@rack1", "dom0", "dom0@rack1", "pv", "pvh", "hvm"]


def test_a_kind_that_names_its_host_stays_there() -> None:
    asked = Request(kinds=("dom0@rack1", "dom0~2vcpu"), hosts=("nested", "rack1"))
    assert list_kinds(asked, config()) == ["dom0@rack1", "dom0~2vcpu", "dom0~2vcpu@rack1"]


def test_each_host_has_its_own_pair_and_its_own_control() -> None:
    names = names_of(Request(kinds=("dom0", "native"), hosts=("nested", "rack1")), config())
    assert names[1] == ("dom0@rack1", "dom0-unpatched@rack1", "dom0-patched@rack1")
    assert in_question("dom0@rack1")
    assert not in_question("native@rack1")
    kernel = KernelConfig(image=Path("/k"))
    plan = cells(of_kernels(config(), names, kernel, kernel))
    by_id = {cell.id: cell for cell in plan}
    assert len(by_id) == 8
    assert control_of(by_id["native-patched@rack1"], plan) == by_id["dom0-unpatched@rack1"]
    assert control_of(by_id["dom0-patched"], plan) == by_id["dom0-unpatched"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Request(kinds=("dom0@rack9",)), "'rack9' is not under 'hosts:'"),
        (Request(hosts=("rack9",)), "'rack9' is not under 'hosts:'"),
        (Request(kinds=("pv@rack1",)), "boards.b1 has no 'ssh'"),
        (Request(kinds=("pv",), hosts=("rack1",)), "boards.b1 has no 'ssh'"),
        (Request(kinds=("xen@rack1",)), "should be KIND or KIND~VARIATION"),
        (Request(kinds=("native@rack1",)), "should be pv or dom0"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(asked: Request, words: str) -> None:
    with pytest.raises(UserError) as caught:
        names_of(asked, config())
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_page_says_where_the_kernels_were_booted(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path)
    supplies = {
        "qemu": {"version": "7.2.22"}, "accelerator": {"name": "tcg"},
        "kernels": {"patched": {"version": "3.19.8"}},
    }  # fmt: skip
    folder.write("manifest.json", {"supplies": supplies})
    for cell, board in (("dom0-patched@rack1", "b1"), ("dom0-patched", "")):
        facts = TrialFacts(cell, 1, "7f", "dom0", "patched", 1, 1, None, board=board)
        folder.trial(cell, 1).open(facts, {})
    kernels = {"kernels": "patched 3.19.8"}
    assert read_versions(folder, ["dom0-patched@rack1"]) == {**kernels, "boards": "b1"}
    assert read_versions(folder, ["dom0-patched"]) == {**kernels, "QEMU": "7.2.22, tcg"}
