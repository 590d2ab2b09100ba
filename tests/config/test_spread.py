# SPDX-License-Identifier: GPL-2.0-or-later
"""Which cells go to a cluster, by what id, and with which controls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.config.cells import cells, control_of, select
from lab.config.lab import LabConfig
from lab.config.load import parse
from lab.config.spread import spread
from lab.errors import UserError

TEXT = """
kernels: {old: {image: a}, new: {image: b}}
expect: {corrupts: [dom0-old]}
"""


def load(text: str = TEXT) -> LabConfig:
    return parse(text, Path("/nowhere/lab.yaml"))


def names(config: LabConfig, wanted: list[str], *machines: str) -> list[str]:
    plan = cells(config)
    return [cell.id for cell in spread(select(plan, wanted), plan, machines)]


def test_a_control_is_a_cell_of_each_machine_and_others_of_one() -> None:
    assert names(load(), ["native-new"], "m1", "m2") == [
        "native-new@cluster",
        "dom0-old@cluster=m1",
        "dom0-old@cluster=m2",
    ]


def test_guests_of_a_xen_host_stay_here_with_a_control_of_their_own() -> None:
    assert names(load(), ["pv-new", "dom0-new"], "m1") == [
        "dom0-new@cluster",
        "dom0-old@cluster=m1",
        "pv-new",
        "dom0-old",
    ]


def test_a_cell_is_measured_by_the_control_of_its_machine() -> None:
    plan = cells(load())
    made = spread(select(plan, ["native-new"]), plan, ["m1", "m2"])
    there = replace(made[0], board="m2")
    control = control_of(there, made)
    assert control is not None
    assert control.id == "dom0-old@cluster=m2"
    assert control_of(made[0], made) is None


def test_a_cluster_boots_with_the_settings_of_the_own_host() -> None:
    config = load()
    assert config.kind_of("cluster=m1") == config.kind_of("cluster") == "nested"
    assert config.host_of("cluster=m1") == config.host
    assert config.boards_of("cluster=m1") == []


def test_the_name_is_taken() -> None:
    with pytest.raises(UserError, match=r"hosts\.cluster: is the name of the machines"):
        load(TEXT + "hosts: {cluster: {kind: nested}}\n")
