# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of a plan's claims, as text for a mail: pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from lab.verdict.claims import OPEN, Outcome

_WIDTH = 76


def write_page(title: str, facts: dict[str, str], outcomes: Sequence[Outcome], repeat: str) -> str:
    """Plain text at 76 columns, to be attached to a mail."""
    lines = [title, "=" * len(title), ""]
    for key, value in facts.items():
        lines += _wrap(f"{key}: {value}", "  ")
    for number, outcome in enumerate(outcomes, 1):
        lines += ["", *_wrap(f"{number}. {outcome.claim.says} [{outcome.claim.source}]", "   ")]
        lines.append(f"   {outcome.verdict}")
        for seen in outcome.seen:
            lines += _wrap(f"   - {seen}", "     ")
        if outcome.verdict == OPEN and outcome.claim.needs:
            lines += _wrap(f"   Needs: {outcome.claim.needs}", "     ")
    lines += ["", "Again:", "", f"  {repeat}", ""]
    return "\n".join(lines)


def _wrap(text: str, indent: str) -> list[str]:
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return textwrap.wrap(plain, _WIDTH, subsequent_indent=indent, break_long_words=False)
