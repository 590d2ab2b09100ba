# SPDX-License-Identifier: GPL-2.0-or-later
"""Symbols of ELF files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.kernel import symbols


def test_no_elf_file_and_none_with_symbols(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="x: is not an ELF file"):
        symbols.read(b"garbage", "x")
    with pytest.raises(UserError, match=r"is not an ELF file|holds no symbols"):
        symbols.read(b"\x7fELF" + b"\0" * 60, "x")
    (tmp_path / "v").write_bytes(b"..Linux version %s\0..Linux version 6.1.9-x (gcc) #1\n")
    assert symbols.read_banner(tmp_path / "v") == "6.1.9-x"
    (tmp_path / "v").write_bytes(b"nothing")
    assert symbols.read_banner(tmp_path / "v") is None
