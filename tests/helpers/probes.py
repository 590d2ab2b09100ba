# SPDX-License-Identifier: GPL-2.0-or-later
"""A probe's console, as a guest of some kind would write it."""

from __future__ import annotations

import zlib

from lab.config.kinds import GuestKind
from lab.probe.questions import Abi, list_questions

NONCE = "cafe0001"


def record(seq: int, type_: str, **fields: object) -> bytes:
    words = " ".join(f"{key}={value}" for key, value in fields.items())
    body = f"@probe {seq} {type_} {words}".encode()
    return b"\n%s #%08x\r\n" % (body, zlib.crc32(body))


def list_answers(kind: GuestKind, abi: Abi) -> dict[str, str]:
    """What fits that interface, the first word of each."""
    return {one.name: one.list_fitting(abi)[0] for one in list_questions(kind)}


def console(
    kind: GuestKind, answers: dict[str, str], run: str = NONCE, count: int | None = None
) -> bytes:
    """``count``: of answers, as the last record has it."""
    text = record(0, "start", version=1, run=run, kind=kind, xen="4.17.7")
    for seq, (name, seen) in enumerate(answers.items(), 1):
        text += record(seq, "answer", question=name, seen=seen, traps=1)
    many = len(answers) if count is None else count
    return text + record(len(answers) + 1, "end", status="ok", answers=many)
