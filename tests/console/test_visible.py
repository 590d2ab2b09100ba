# SPDX-License-Identifier: GPL-2.0-or-later
"""Untrusted text, shown so that nothing acts on it."""

from __future__ import annotations

import unicodedata

import pytest

from lab.console.visible import decode, reveal


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain text", "plain text"),
        (b"\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("a\u202eb\u2066c\u200bd".encode(), r"a\u202eb\u2066c\u200bd"),
        (b"\x9b31m\xff", r"\x9b31m\xff"),
        (b"tab\tand\nline", "tab\tand\nline"),
        ("z\u0301\u0301 \u00fc \u2713".encode(), "z\\u0301\\u0301 \u00fc \u2713"),
        ("\U000e0041".encode(), r"\U000e0041"),
    ],
)
def test_what_could_act_is_named(raw: bytes, shown: str) -> None:
    assert decode(raw) == shown


def test_nothing_hidden_is_left_of_any_character() -> None:
    shown = reveal("".join(map(chr, range(0x110000))))
    left = {unicodedata.category(character) for character in shown} - {"Cc"}
    assert not left & {"Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"}
    assert {c for c in shown if unicodedata.category(c) == "Cc"} == {"\n", "\t"}
