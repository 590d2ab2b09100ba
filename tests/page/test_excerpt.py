# SPDX-License-Identifier: GPL-2.0-or-later
"""What a page holds of a console: its beginning, its first corruption, its end, and no more."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from lab.page.excerpt import MOST, choose, read
from tests.helpers.consoles import record


def test_a_short_console_is_whole() -> None:
    assert choose(100, 50) == [(0, 100)]


def test_a_long_one_has_three_parts_that_never_overlap() -> None:
    size = 10_000_000
    for corruption in (None, 0, 5000, 5_000_000, size - 100):
        parts = choose(size, corruption)
        assert parts[0][0] == 0
        assert parts[-1][1] == size
        assert all(before[1] < after[0] for before, after in pairwise(parts))
        assert sum(end - begin for begin, end in parts) <= MOST
        assert corruption is None or any(a <= corruption < b for a, b in parts)
    assert len(choose(size, 5_000_000)) == 3


def test_ten_mebibytes_leave_little_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    noise = b"x" * 79 + b"\n"
    corrupt = record(7, "corrupt", t="1.0", reg="mm3")
    console.write_bytes(noise * 70_000 + corrupt + noise * 70_000)
    found = read(console)
    assert found.size == console.stat().st_size > 10 << 20
    assert sum(len(line.text) for part in found.parts for line in part.lines) <= MOST
    (marked,) = [line for part in found.parts for line in part.lines if line.kind]
    assert (marked.kind, marked.number) == ("corrupt", 70_002)
    assert found.parts[0].lines[0].number == 1
    assert found.parts[-1].lines[-1].number == 140_002
    shown = sum(end - begin for begin, end in choose(found.size, 70_000 * 80))
    assert shown + sum(part.skipped for part in found.parts) == found.size


def test_records_are_marked_only_when_they_are_whole(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    whole = record(1, "progress", t="1.0", windows=3)
    console.write_bytes(whole + whole.replace(b"windows=3", b"windows=4") + b"@mmx 1 progress\n")
    kinds = [line.kind for part in read(console).parts for line in part.lines]
    assert kinds == ["record", "", ""]


def test_a_line_has_an_end(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_bytes(b"y" * 9000)
    (line,) = read(console).parts[0].lines
    assert line.text.endswith(" ... and 8,600 more characters")


def test_no_console_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert read(tmp_path / "empty").parts == read(tmp_path / "missing").parts == ()
