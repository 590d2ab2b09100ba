# SPDX-License-Identifier: GPL-2.0-or-later
r"""Untrusted text made harmless by showing what is in it, rather than by removing it. Pure.

Terminal escapes, other control characters, marks that turn the direction of writing, characters
without width: each becomes its name in ASCII, such as ``\x1b`` and ``\u202e``. A reader sees that
they are there, and no terminal, browser or editor acts on them.
"""

from __future__ import annotations

import re
import unicodedata

# Control, format, surrogate, private, unassigned, separators of lines, and what stacks on others.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"}
_SUSPECT = re.compile(r"[^\n\t -~]")


def reveal(text: str) -> str:
    """The text with every hidden character as an ASCII escape; newline and tab stay."""
    if text.isascii() and text.isprintable():
        return text
    return _SUSPECT.sub(lambda found: _name(found[0]), text)


def decode(raw: bytes) -> str:
    r"""Bytes as harmless text; those that are not UTF-8 are shown as ``\xff``."""
    return reveal(raw.decode("utf-8", errors="backslashreplace"))


def _name(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return (
        character.encode("ascii", errors="backslashreplace")
        .decode()
        .replace(character, f"\\x{ord(character):02x}")
    )
