# SPDX-License-Identifier: GPL-2.0-or-later
"""Room for boots: never more at once than there is, and the important ones first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lab.run.slots import Slots
from lab.system.deadline import Deadline


def test_never_more_at_once_than_there_is_room_for() -> None:
    slots, inside, most = Slots(2), [], []
    both = threading.Barrier(2)

    def one(_: int) -> None:
        with slots.held():
            inside.append(1)
            most.append(len(inside))
            both.wait(60)  # two are always inside together
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    assert max(most) == 2


def queued(slots: Slots, number: int) -> bool:
    return slots.waiting == number


def test_a_lower_rank_is_served_first_and_equals_in_turn() -> None:
    slots, served = Slots(1), []

    def one(name: str, rank: int) -> None:
        with slots.held(rank):
            served.append(name)

    slots.take()
    threads = [
        threading.Thread(target=one, args=order)
        for order in (("cell 1", 1), ("cell 2", 1), ("control", 0))
    ]
    for thread in threads:
        before = slots.waiting
        thread.start()
        Deadline(60).wait_for(partial(queued, slots, before + 1), "the thread to wait")
    slots.give_back()
    for thread in threads:
        thread.join(60)
    assert served == ["control", "cell 1", "cell 2"]


def test_a_fault_inside_gives_the_slot_back() -> None:
    slots = Slots(1)
    try:
        with slots.held():
            raise ValueError
    except ValueError:
        pass
    with slots.held():
        assert slots.waiting == 0


def test_who_wants_all_slots_gets_them_although_others_come_and_go() -> None:
    slots, served = Slots(2), []

    def one(name: str, many: int) -> None:
        with slots.held(0, many):
            served.append(name)

    slots.take()
    threads = [threading.Thread(target=one, args=order) for order in (("hvm", 2), ("pv", 1))]
    for thread in threads:
        before = slots.waiting
        thread.start()
        Deadline(60).wait_for(partial(queued, slots, before + 1), "the thread to wait")
    assert served == []  # one slot is free, and the first in the queue wants both
    slots.give_back()
    for thread in threads:
        thread.join(60)
    assert served == ["hvm", "pv"]
