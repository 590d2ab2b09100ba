# SPDX-License-Identifier: GPL-2.0-or-later
"""Consoles of known content, damaged as real ones are; what each may be judged as.

The recorded consoles are those of tests/noise.py. A trial is made of its seed and its number
alone, so that it can be repeated.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy

from lab.console.records import MARK, parse
from lab.console.watch import Ending
from lab.verdict.facts import TrialVerdict
from lab.verdict.severity import Verdict
from lab.verdict.trial import judge
from tests.helpers.consoles import record
from tests.noise import RATES, Recorded, disturb, find_recorded

Chance = numpy.random.Generator
OTHER = "0badcafe"  # the nonce of another boot
_WHOLE = re.compile(rb"@mmx \d+ [a-z]+[ -~]*? #[0-9a-f]{8}")
_TIME = re.compile(rb" t=\d+\.\d+")
_WORDS = (
    b"[    3.141592] random: crng init done\r\n",
    b"[   27.182818] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [swapper/0:1]\r\n",
    b"(XEN) d0v0 Triple fault - invoking HVM shutdown action 1\r\n",
    b"(XEN) mm.c:2345:d0v0 Bad L1 flags 800000\r\n",
    b"[    9.000000] clocksource: timekeeping watchdog: Marking clocksource 'tsc' as unstable\r\n",
    b"audit: type=2000 end t=1 status=ok vacuous=no\r\n",
)
_ESCAPES = (
    b"\x1b[2J", b"\x1b]0;title\x07", b"\x1b[31;1m", b"\x1bP", b"\x9b6n", b"\x1b[6n", b"\x08\x08",
    b"\x1b]8;;http://a.example\x1b\\", b"\xe2\x80\xae", b"\r",
)  # fmt: skip
_PANIC = b"\r\n[    5.5] Kernel panic - not syncing: Fatal exception in interrupt\r\n"


@dataclass(frozen=True)
class Damaged:
    """A console to be judged. ``truth``: what the boot showed, whatever became of its words."""

    recorded: Recorded
    console: bytes
    truth: Verdict
    ending: Ending | None


def _is_sound(found: re.Match[bytes]) -> bool:
    """Whether the CRC is right: a damaged record must not be mended here."""
    body = found.group()
    return int(body[-8:], 16) == zlib.crc32(body[:-10])


def sign(console: bytes, nonce: str) -> bytes:
    """The records as today's program writes them: each names its boot."""

    def again(found: re.Match[bytes]) -> bytes:
        body = found.group()[:-10]
        if not _is_sound(found):
            return found.group()
        if b" run=" not in body:
            body += b" run=" + nonce.encode()
        return b"%s #%08x" % (body, zlib.crc32(body))

    return _WHOLE.sub(again, console)


@cache
def find_all() -> tuple[Recorded, ...]:
    """Each console of tests/noise.py, signed. A truth of its own: CLEAN, CORRUPTS and so on."""
    return tuple(
        replace(one, console=sign(one.console, one.facts.nonce)) for one in find_recorded()
    )


def other_boot(chance: Chance) -> bytes:
    """Another boot's console, of any kind, with another nonce in all of it."""
    found = find_all()
    one = found[chance.integers(len(found))]
    return sign(one.console.replace(one.facts.nonce.encode(), OTHER.encode()), OTHER)


def _places(console: bytes, chance: Chance, most: int) -> list[int]:
    return sorted(chance.integers(len(console), size=chance.integers(1, most + 1)).tolist())


def _insert(console: bytes, places: list[int], what: Callable[[], bytes]) -> bytes:
    parts, last = [], 0
    for place in places:
        parts += [console[last:place], what()]
        last = place
    return b"".join([*parts, console[last:]])


def _chunk(console: bytes, chance: Chance, most: int = 2048) -> tuple[int, int]:
    size = int(chance.integers(1, most))
    begin = int(chance.integers(max(1, len(console) - size)))
    return begin, begin + size


def _lose(console: bytes, chance: Chance) -> bytes:
    for _ in range(chance.integers(1, 5)):
        begin, end = _chunk(console, chance)
        console = console[:begin] + console[end:]
    return console


def _double(console: bytes, chance: Chance) -> bytes:
    for _ in range(chance.integers(1, 5)):
        begin, end = _chunk(console, chance)
        console = console[:end] + console[begin:end] + console[end:]
    return console


def _reorder(console: bytes, chance: Chance) -> bytes:
    for _ in range(chance.integers(1, 4)):
        begin, end = _chunk(console, chance)
        rest = console[:begin] + console[end:]
        to = int(chance.integers(len(rest) + 1))
        console = rest[:to] + console[begin:end] + rest[to:]
    return console


def _tear(console: bytes, chance: Chance) -> bytes:
    return _insert(console, _places(console, chance, 40), lambda: b"\r\n")


def _talk_over(console: bytes, chance: Chance) -> bytes:
    return _insert(
        console, _places(console, chance, 20), lambda: _WORDS[chance.integers(len(_WORDS))]
    )


def _escape(console: bytes, chance: Chance) -> bytes:
    return _insert(
        console, _places(console, chance, 30), lambda: _ESCAPES[chance.integers(len(_ESCAPES))]
    )


def _put_nuls(console: bytes, chance: Chance) -> bytes:
    return _insert(
        console, _places(console, chance, 10), lambda: bytes(int(chance.integers(1, 5000)))
    )


def _disturb(console: bytes, chance: Chance) -> bytes:
    return disturb(console, RATES[chance.integers(len(RATES))], chance)


def _flood(console: bytes, chance: Chance) -> bytes:
    """Of a kind that costs the reader most; tests/campaign/test_campaign.py has the large ones."""
    kinds = (MARK, b"\n", b"a" * 99 + b"\n", b"@mmx 1 x a=b", bytes(chance.bytes(64)))
    flood = kinds[chance.integers(len(kinds))] * int(chance.integers(1, 500))
    return _insert(console, _places(console, chance, 2), lambda: flood)


def _jump(console: bytes, chance: Chance) -> bytes:
    """The guest's clock goes back, or years ahead, in any record."""

    def again(found: re.Match[bytes]) -> bytes:
        body = found.group()[:-10]
        if not _is_sound(found):
            return found.group()
        if chance.random() < 0.5:
            body = _TIME.sub(b" t=%d.000001" % chance.integers(0, 10**9), body)
        return b"%s #%08x" % (body, zlib.crc32(body))

    return _WHOLE.sub(again, console)


def _follow_earlier(console: bytes, chance: Chance) -> bytes:
    """A terminal server hands out what it kept of the boot before, whole or its end."""
    earlier = other_boot(chance)
    return earlier[int(chance.integers(len(earlier))) * int(chance.integers(2)) :] + console


def _mix(console: bytes, chance: Chance) -> bytes:
    """Two machines on one cable: lines of both in turn."""
    other = other_boot(chance).splitlines(keepends=True)
    places = _places(console, chance, 60)
    lines = iter(other[int(chance.integers(len(other))) :])
    return _insert(console, places, lambda: next(lines, b""))


def _forge(console: bytes, chance: Chance) -> bytes:
    """Records of another boot, sound and with numbers that are free here, at any place."""
    highest = max((one.seq for one in parse(console).records), default=4)
    counts = {"windows": 4000, "checks": 9000, "corruptions": 0, "hits": 0}

    def forge() -> bytes:
        seq = highest + int(chance.integers(1, 9))
        bad = {**counts, "corruptions": 7, "hits": 7}
        kinds: list[tuple[str, dict[str, object]]] = [
            ("end", {"t": "4.000000", **counts, "status": "ok", "run": OTHER}),
            ("end", {"t": "4.000000", **bad, "status": "ok", "run": OTHER}),
            ("corrupt", {"t": "1.000000", "role": "victim", "reg": "mm0", "run": OTHER}),
            ("progress", {"t": "2.000000", **bad, "run": OTHER}),
        ]
        type_, fields = kinds[chance.integers(len(kinds))]
        return record(seq, type_, **fields)

    return _insert(console, _places(console, chance, 3), forge)


def _forge_text(console: bytes, chance: Chance) -> bytes:
    """An ``end`` and a ``corrupt`` as a kernel might print them by accident: their CRC is wrong."""
    texts = (
        b"\n@mmx 9 end t=9.0 windows=9000 checks=9000 corruptions=0 hits=0 status=ok #00000000\n",
        b"\n@mmx 8 corrupt t=1.0 role=victim reg=mm0 #deadbeef\n",
        b"\n@mmx 9 end",
    )
    return _insert(console, _places(console, chance, 3), lambda: texts[chance.integers(len(texts))])


LINE: dict[str, Callable[[bytes, Chance], bytes]] = {
    "bytes dropped, doubled, damaged": _disturb,
    "chunks lost": _lose,
    "chunks doubled": _double,
    "chunks out of order": _reorder,
    "lines torn": _tear,
    "kernel and Xen between the words": _talk_over,
    "escape sequences": _escape,
    "NUL bytes": _put_nuls,
    "a flood": _flood,
    "a clock that jumps": _jump,
    "an earlier boot's words before": _follow_earlier,
    "another machine's words between": _mix,
    "another boot's records": _forge,
    "records with a wrong CRC": _forge_text,
}


def _cut(one: Recorded, chance: Chance) -> tuple[bytes, Verdict]:
    """The boot's words up to some moment, and what it has shown until then."""
    sound = [found.start() for found in _WHOLE.finditer(one.console)]
    ends = [found.at for found in parse(one.console).of("end")]
    last = min(ends) if ends else len(one.console)
    at = int(chance.integers(sound[0] if sound else 0, last))
    console = one.console[:at]
    shown = parse(console)
    seen = shown.of("corrupt") or [r for r in shown.records if r.number("corruptions")]
    return console, Verdict.CORRUPTS if seen else Verdict.CRASHED


def _die(one: Recorded, chance: Chance) -> Damaged:
    console, truth = _cut(one, chance)
    return Damaged(one, console + _PANIC, truth, Ending("exited", seconds=9.0))


def _hang(one: Recorded, chance: Chance) -> Damaged:
    console, truth = _cut(one, chance)
    return Damaged(one, console, truth, Ending("deadline", seconds=90.0))


def _kill_lab(one: Recorded, chance: Chance) -> Damaged:
    console, truth = _cut(one, chance)
    killed = Verdict.LAB_ERROR if truth is Verdict.CRASHED else truth
    return Damaged(one, console, killed, None)


def _boot_another(one: Recorded, chance: Chance) -> Damaged:
    """Reset in the middle, without a word, into something else: two nonces on one console."""
    console, truth = _cut(one, chance)
    return Damaged(one, console + b"\r\n" + other_boot(chance), truth, Ending("finished"))


def _die_and_forge(one: Recorded, chance: Chance) -> Damaged:
    """It died, and another boot's ``end`` comes after it."""
    console, truth = _cut(one, chance)
    seq = max((r.seq for r in parse(console).records), default=3) + 1
    counts = {"windows": 9000, "checks": 9000, "corruptions": 0, "hits": 0}
    ends = b"".join(
        record(seq + n, "end", t=f"9.00000{n}", **counts, status="ok", run=OTHER) for n in range(3)
    )
    return Damaged(one, console + ends, truth, Ending("finished"))


BOOT: dict[str, Callable[[Recorded, Chance], Damaged]] = {
    "it dies with a panic": _die,
    "it hangs": _hang,
    "the lab is killed": _kill_lab,
    "it resets into another boot": _boot_another,
    "it dies, then another boot's end": _die_and_forge,
}
FAULTS = (*LINE, *BOOT)


def make(fault: str, seed: int, number: int) -> Damaged:
    """Trial ``number`` of a campaign. Two faults of the line in every third one."""
    chance = numpy.random.default_rng([seed, FAULTS.index(fault), number])
    found = find_all()
    one = found[number % len(found)]
    if fault in BOOT:
        return BOOT[fault](one, chance)
    console = LINE[fault](one.console, chance)
    if number % 3 == 2:
        console = list(LINE.values())[chance.integers(len(LINE))](console, chance)
    finished = parse(console).last("end") is not None
    return Damaged(one, console, one.truth, Ending("finished" if finished else "deadline"))


def judge_trial(made: Damaged) -> TrialVerdict:
    """As the lab would."""
    return judge(made.recorded.facts, made.console, made.ending)
