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
        rb"(" + mark + rb"(?P<seq>\d{1,9}) (?P<type>[a-z]+)(?P<rest>(?: [a-z0-9_]+=[!-~]*)*))"
        rb" #(?P<crc>[0-9a-f]{8})"
    )
    for mark in (MARK, PROBE_MARK)
}


@dataclass(frozen=True)
class Record:
    """One record: running number, type, its fields as text."""

    seq: int
    type: str
    fields: dict[str, str]

    def number(self, key: str) -> int:
        """A field as an integer; 0 when it is absent or not a number."""
        text = self.fields.get(key, "")
        return int(text) if text.isascii() and text.isdigit() else 0

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
    whole = 0
    for match in _RECORDS[mark].finditer(console):
        if zlib.crc32(match.group(1)) != int(match.group("crc"), 16):
            continue
        whole += 1
        seq = int(match.group("seq"))
        found.setdefault(seq, Record(seq, match.group("type").decode(), _fields(match)))
    records = [found[seq] for seq in sorted(found)]
    highest = records[-1].seq if records else -1
    # A hostile number must not give a list of a billion gaps.
    missing = [n for n in range(min(highest, 100_000)) if n not in found]
    return Transcript(records, console.count(mark) - whole, missing)


def _fields(match: re.Match[bytes]) -> dict[str, str]:
    words = match.group("rest").decode("ascii").split()
    return dict(word.split("=", 1) for word in words)
