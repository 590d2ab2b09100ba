# SPDX-License-Identifier: GPL-2.0-or-later
"""Records are found between kernel noise, and what is lost is said."""

from __future__ import annotations

from lab.console.records import parse
from tests.helpers.consoles import record


def test_records_between_kernel_noise() -> None:
    console = (
        b"[    1.0] Run /init as init process\r\n"
        + record(0, "start", run="ab12")
        + b"[    1.1] random: crng init done\r\n(XEN) something"
        + record(1, "progress", t="1.000000", windows=7)
    )
    transcript = parse(console)
    assert [r.type for r in transcript.records] == ["start", "progress"]
    assert transcript.records[1].number("windows") == 7
    assert transcript.missing == []
    assert transcript.damaged == 0


def test_a_kernel_message_in_the_middle_damages_one_record_and_is_said() -> None:
    broken = record(1, "corrupt", reg="mm3").replace(b"reg=", b"re[ 2.0] BUG\r\ng=")
    transcript = parse(record(0, "start") + broken + record(2, "end", windows=9))
    assert [r.seq for r in transcript.records] == [0, 2]
    assert transcript.damaged == 1
    assert transcript.missing == [1]


def test_a_changed_digit_breaks_the_crc() -> None:
    transcript = parse(record(0, "end", corruptions=3).replace(b"ions=3", b"ions=0"))
    assert transcript.records == []
    assert transcript.damaged == 1


def test_hostile_numbers_neither_raise_nor_eat_memory() -> None:
    transcript = parse(record(999_999_999, "end") + b"@mmx " * 1000 + bytes(range(256)))
    assert len(transcript.missing) == 100_000
    assert transcript.damaged == 1000


def test_malformed_numbers_and_times() -> None:
    found = parse(record(0, "end", windows="x9", t="nan")).records[0]
    assert found.number("windows") == 0
    assert found.seconds() is None
