# SPDX-License-Identifier: GPL-2.0-or-later
"""When watching a console ends: by the last record, by death, by silence, by the deadline."""

from __future__ import annotations

import threading

import pytest

from lab.console.watch import DEATH_GRACE, SILENCE, Glance, Watch
from lab.system.deadline import Deadline
from tests.helpers.consoles import console


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watch(clock: Clock, seconds: float = 1000.0) -> tuple[Watch, list[Glance], threading.Event]:
    looks: list[Glance] = []
    stop = threading.Event()
    return Watch(Deadline(seconds, clock), looks.append, stop, clock), looks, stop


def test_the_last_record_ends_it_and_the_counts_are_seen(clock: Clock) -> None:
    watched, looks, _ = watch(clock)
    clock.now += 3
    assert not watched.grew(console(end=False, corruptions=2))
    assert watched.booted == 3.0
    assert (looks[0].windows, looks[0].corruptions) == (5000, 2)
    assert watched.grew(console())


def test_silence_counts_only_after_the_program_spoke(clock: Clock) -> None:
    watched, _, _ = watch(clock)
    clock.now += SILENCE + 1
    assert watched.find_reason_to_stop() is None
    watched.grew(console(end=False))
    clock.now += SILENCE + 1
    assert watched.find_reason_to_stop() == "deadline"


def test_a_dead_kernel_gets_a_moment_for_its_trace(clock: Clock) -> None:
    watched, _, _ = watch(clock)
    watched.grew(b"Kernel panic - not syncing: no init\n")
    assert watched.find_reason_to_stop() is None
    clock.now += DEATH_GRACE + 1
    assert watched.find_reason_to_stop() == "deadline"


def test_the_deadline_and_a_person_end_it(clock: Clock) -> None:
    watched, _, stop = watch(clock, seconds=10)
    clock.now += 11
    assert watched.find_reason_to_stop() == "deadline"
    stop.set()
    assert watched.find_reason_to_stop() == "interrupted"
