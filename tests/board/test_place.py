# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose hold on a labgrid place is over (a real coordinator: tests/integration/test_place.py)."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from lab.board.lock import myself
from lab.board.place import is_dead
from lab.config.board import LabgridPower


def test_a_lab_of_this_machine_is_known_to_live_or_not() -> None:
    me, host = myself(), socket.gethostname()
    assert not is_dead(f"{host}/xen-fpu-lab-{me.pid}-{me.started}")
    assert is_dead(f"{host}/xen-fpu-lab-{me.pid}-{me.started + 1}")  # the number was given again


@pytest.mark.parametrize("holder", ["elsewhere/xen-fpu-lab-1-1", "alice", "", "h/xen-fpu-lab-1"])
def test_whose_death_is_not_known_is_not_dead(holder: str) -> None:
    assert not is_dead(holder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"place": "a b"}, "is not a place's name"),
        ({"coordinator": "bench"}, "should read HOST:PORT"),
        ({"coordinator": "bench:0"}, "should read HOST:PORT"),
        ({"coordinator": "http://bench:1"}, "is not a host name or an IP address"),
    ],
)
def test_a_place_is_checked_when_the_file_is_read(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LabgridPower.model_validate({"kind": "labgrid", "place": "rack1", **change})
