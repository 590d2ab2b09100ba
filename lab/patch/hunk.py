"""A hunk of a diff: its lines, read against the counts that its header promises."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# Mailers wrap at 65 to 80 columns: a line was wrapped only if the next word made it longer.
_WRAP, _WIDEST = 65, 80
_NBSP = "\N{NO-BREAK SPACE}"
# Indentation with one in it: a mail program's or a web page's doing.
_INDENT = re.compile(rf"[+\- ]?[ \t{_NBSP}]*{_NBSP}[ \t{_NBSP}]*")


@dataclass(frozen=True)
class Hunk:
    """``lines`` start with space, + or -, and end with a newline but for the file's last one.

    ``lost``: context lines that the header promises at the end and the text has not.
    ``doubtful``: last context lines that are empty in the text: perhaps not the file's.
    """

    old_start: int
    heading: str
    lines: tuple[str, ...]
    lost: int = 0
    doubtful: int = 0

    @property
    def old(self) -> list[str]:
        return [line[1:] for line in self.lines if line[0] in " -"]

    @property
    def new(self) -> list[str]:
        return [line[1:] for line in self.lines if line[0] in " +"]


def wrapped(before: str, rest: str) -> bool:
    """Whether a mailer may have broken a line between the two, as the text has them."""
    word = rest.split(maxsplit=1)[0] if rest.strip() else ""
    width = len(before.rstrip())
    return bool(word) and width <= _WIDEST and width + 1 + len(word) > _WRAP


def joined(before: str, rest: str) -> str:
    """The line as it was: mailers break at a space, and some keep it."""
    before = before.rstrip("\n")
    gap = "" if before.endswith(" ") or rest.startswith(" ") else " "
    return f"{before}{gap}{rest}\n"


def short(line: str) -> str:
    """A line for a message."""
    text = line.strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


@dataclass
class Body:
    """A hunk's lines being read against the counts that its header promises."""

    old: int
    new: int
    lines: list[str] = field(default_factory=list)
    blanks: int = 0  # context lines that had lost their space
    tail: int = 0  # ... of them at the end
    no_breaks: int = 0  # lines with no-break spaces
    joined: list[str] = field(default_factory=list)  # what was put back behind its line

    @property
    def complete(self) -> bool:
        return self.old == 0 and self.new == 0

    def take(self, line: str) -> bool:
        """Whether the line can be the next one by its first character and the counts."""
        indent = _INDENT.match(line)
        if indent:
            line = indent.group().replace(_NBSP, " ") + line[indent.end() :]
        kind = line[:1] or " "
        old, new = kind in " -", kind in " +"
        if kind not in " +-" or (old and not self.old) or (new and not self.new):
            return False
        self.no_breaks += indent is not None
        self.tail = 0 if line else self.tail + 1
        self.blanks += not line
        self.old -= old
        self.new -= new
        self.lines.append((line or " ") + "\n")
        return True

    def drop_tail(self) -> None:
        """Empty lines before a signature or the prose below were not the file's own."""
        del self.lines[len(self.lines) - self.tail :]
        self.old, self.new = self.old + self.tail, self.new + self.tail
        self.blanks, self.tail = self.blanks - self.tail, 0

    def join(self, line: str) -> None:
        self.lines[-1] = joined(self.lines[-1], line)
        self.joined.append(line)
        self.tail = 0

    def no_newline(self) -> None:
        """The line before was the file's last, without a newline."""
        if self.lines:
            self.lines[-1] = self.lines[-1].rstrip("\n")
