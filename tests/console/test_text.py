# SPDX-License-Identifier: GPL-2.0-or-later
"""A console as text: nothing that a terminal obeys, and what a kernel dies of."""

from __future__ import annotations

from lab.console import text as consoletext


def test_escape_sequences_never_reach_a_terminal() -> None:
    raw = b"\x1b[2J\x1b]0;title\x07ok\x1bP1$r\x1b\\ \xc2\x9b<b>\r\n\x00\x07end"
    assert consoletext.clean(raw) == "ok <b>\nend"


def test_a_bug_is_a_death_but_a_lockup_warning_is_not() -> None:
    assert consoletext.death(b"watchdog: BUG: soft lockup - CPU#0 stuck for 22s!") is None
    assert consoletext.death(b"[ 1.0] BUG: unable to handle kernel paging request") is not None
    assert consoletext.death(b"(XEN) Panic on CPU 0:") == "Panic on CPU 0:"
    said = consoletext.death(b"(XEN) Panic on CPU 0:\r\n(XEN) Could not construct domain 0\r\n")
    assert said == "Panic on CPU 0: Could not construct domain 0"
