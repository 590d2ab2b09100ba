# SPDX-License-Identifier: GPL-2.0-or-later
"""A hunk of a diff, and what its lines look like after a mailer."""

from __future__ import annotations

from dataclasses import dataclass

# Mailers wrap at 65 to 80 columns: a line was wrapped only if the next word made it longer.
_WRAP, _WIDEST = 65, 80


@dataclass(frozen=True)
class Hunk:
    """``lines`` start with space, + or -, and end with a newline but for the file's last one.

    ``doubtful``: last context lines that are empty in the text: perhaps not the file's.
    """

    old_start: int
    heading: str
    lines: tuple[str, ...]
    doubtful: int = 0

    @property
    def old(self) -> list[str]:
        return [line[1:] for line in self.lines if line[0] in " -"]

    @property
    def new(self) -> list[str]:
        return [line[1:] for line in self.lines if line[0] in " +"]


def is_wrapped(before: str, rest: str) -> bool:
    """Whether a mailer may have broken a line between the two, as the text has them."""
    word = rest.split(maxsplit=1)[0] if rest.strip() else ""
    width = len(before.rstrip())
    return bool(word) and width <= _WIDEST and width + 1 + len(word) > _WRAP


def join_line(before: str, rest: str) -> str:
    """The line as it was: mailers break at a space, and some keep it."""
    before = before.rstrip("\n")
    gap = "" if before.endswith(" ") or rest.startswith(" ") else " "
    return f"{before}{gap}{rest}\n"


def quote(line: str) -> str:
    """A line for a message."""
    text = line.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")
