# SPDX-License-Identifier: GPL-2.0-or-later
"""Console output that is shown as it comes, made harmless: pure."""

from __future__ import annotations

from lab.console.text import clean

_LONGEST = 4096  # bytes of a line that are kept back, at most


class LiveText:
    """Takes raw bytes, gives text without escape sequences and control characters.

    An escape sequence or a character may be cut in two by where a read ended: what comes after
    the last line's end is kept back until more comes, or until ``flush``. No raw escape character
    is ever handed out.
    """

    def __init__(self) -> None:
        self._kept = b""

    def add(self, raw: bytes) -> str:
        """Whole lines of what came so far."""
        self._kept += raw
        end = self._kept.rfind(b"\n") + 1
        if end == 0 and len(self._kept) > _LONGEST:
            end = len(self._kept)
        whole, self._kept = self._kept[:end], self._kept[end:]
        return clean(whole)

    def flush(self) -> str:
        """The rest, for a prompt that nothing follows."""
        rest, self._kept = self._kept, b""
        if rest.endswith(b"\r"):  # half of a line's end
            rest, self._kept = rest[:-1], b"\r"
        return clean(rest)
