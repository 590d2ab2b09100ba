# SPDX-License-Identifier: GPL-2.0-or-later
"""The stress program's records, picked out of a console that the kernel writes to as well.

A record is ``@mmx SEQ TYPE key=value ... #CRC32`` (repro/README.md). It may be anywhere in
a line; a kernel message in its middle breaks its CRC, and then its number is missing.
The probe's records (repro/probe) differ in their mark alone.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field

MARK = b"@mmx "
PROBE_MARK = b"@probe "
_RECORDS = {
    mark: re.compile(
        # The program's longest record has 768 bytes (repro/record.h). What a hostile kernel
        # prints must not make a match long, or a record large.
        rb"(" + mark + rb"(?P<seq>\d{1,9}) (?P<type>[a-z]{1,32})"
        rb"(?P<rest>(?: [a-z0-9_]{1,64}=[!-~]{0,768}){0,64}))"
        rb" #(?P<crc>[0-9a-f]{8})"
    )
    for mark in (MARK, PROBE_MARK)
}
_LONGEST = 1024  # bytes
_MOST = 100_000  # records of a console; a run writes some hundred
_MOST_DIGITS = 15  # of a number; Python refuses to read those of thousands


@dataclass(frozen=True)
class Record:
    """One record: running number, type, its fields as text."""

    seq: int
    type: str
    fields: dict[str, str]
    at: int = field(default=0, compare=False)  # where in the console, bytes

    def number(self, key: str) -> int:
        """A field as an integer; 0 when it is absent or not a number that the program writes."""
        text = self.fields.get(key, "")
        sound = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
        return int(text) if sound else 0

    def seconds(self, key: str = "t") -> float | None:
        """A field as seconds; None when it is absent or malformed."""
        text = self.fields.get(key, "")
        return float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text) else None

    def as_json(self) -> dict[str, object]:
        return {"seq": self.seq, "type": self.type, **self.fields}


@dataclass(frozen=True)
class Transcript:
    """All records of one console, in order of their numbers, and what is known to be lost."""

    records: list[Record] = field(default_factory=list)
    damaged: int = 0  # marks without a valid record
    missing: list[int] = field(default_factory=list)  # numbers below the highest not seen
    mixed: list[int] = field(default_factory=list)  # numbers that two different records have
    begun: int = 0  # how many start records there are, equal ones too

    def of(self, type_: str) -> list[Record]:
        return [record for record in self.records if record.type == type_]

    def last(self, type_: str) -> Record | None:
        found = self.of(type_)
        return found[-1] if found else None


def parse(console: bytes, mark: bytes = MARK) -> Transcript:
    """Read every record whose CRC holds. Never raises: a console can contain anything.

    ``mark``: MARK or PROBE_MARK.
    """
    found: dict[int, Record] = {}
    mixed: set[int] = set()
    whole = begun = 0
    for match in _RECORDS[mark].finditer(console):
        if len(match.group()) > _LONGEST or zlib.crc32(match.group(1)) != int(match["crc"], 16):
            continue
        whole += 1
        one = _read(match)
        begun += one.type == "start"
        if found.setdefault(one.seq, one) != one:
            mixed.add(one.seq)
        if len(found) == _MOST:
            break
    records = [found[seq] for seq in sorted(found)]
    highest = records[-1].seq if records else -1
    # A hostile number must not give a list of a billion gaps.
    missing = [n for n in range(min(highest, _MOST)) if n not in found]
    damaged = console.count(mark) - whole
    return Transcript(records, damaged, missing, sorted(mixed), begun)


def _read(match: re.Match[bytes]) -> Record:
    words = match["rest"].decode("ascii").split()
    fields = dict(word.split("=", 1) for word in words)
    return Record(int(match["seq"]), match["type"].decode(), fields, match.start())
