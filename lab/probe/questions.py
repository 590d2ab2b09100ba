# SPDX-License-Identifier: GPL-2.0-or-later
"""The probe's questions and what each interface answers: the table of repro/probe/main.c. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lab.config.kinds import GuestKind

PV_KINDS: tuple[GuestKind, ...] = ("dom0", "pv")  # the others have a processor's CR0


class Abi(Enum):
    """How a guest's #NM handler is entered."""

    CLEAR = "TS CLEAR"
    SET = "TS SET"

    @property
    def sentence(self) -> str:
        if self is Abi.CLEAR:
            return "clear in #NM: the ABI that exposes the bug"
        return "set in #NM, as a processor leaves it"


@dataclass(frozen=True)
class Question:
    """``clear``, ``set``: what fits each interface; several words where each of them does.

    ``of_pv``: only PV guests are asked. ``control``: with another answer TS does not work at all.
    """

    name: str
    text: str
    clear: tuple[str, ...]
    set: tuple[str, ...]
    of_pv: bool = False
    control: bool = False

    def list_fitting(self, abi: Abi) -> tuple[str, ...]:
        return self.clear if abi is Abi.CLEAR else self.set


def _control(name: str, text: str, word: str) -> Question:
    return Question(name, text, (word,), (word,), control=True)


QUESTIONS = (
    _control("set", "TS as read, after it was set", "set"),
    _control("use", "an FPU instruction then", "traps"),
    Question("handler", "TS as read when the #NM handler begins", ("clear",), ("set",)),
    # A processor with UMIP may refuse smsw; the answer is then no evidence for either.
    Question("user", "TS there, by smsw in user mode", ("clear", "refused"), ("set", "refused")),
    Question("again", "a second FPU instruction in the handler", ("passes",), ("traps",)),
    Question("return", "the same one after a handler that did nothing", ("passes",), ("traps",)),
    Question("halt", "an FPU instruction in it after a halt", ("passes",), ("traps",)),
    # The processor's own TS: set by Xen when it switches vCPUs lazily, for itself.
    Question(
        "hidden", "TS by smsw in it after another vCPU", ("set", "clear", "refused"),
        ("set", "refused"), of_pv=True,
    ),
    Question("switch", "an FPU instruction in it after that", ("passes",), ("traps",), of_pv=True),
    _control("off", "TS as read, after it was cleared", "clear"),
    _control("free", "an FPU instruction then", "passes"),
)  # fmt: skip


def list_questions(kind: GuestKind) -> list[Question]:
    """What a guest of that kind is asked, in order."""
    return [one for one in QUESTIONS if kind in PV_KINDS or not one.of_pv]
