# SPDX-License-Identifier: GPL-2.0-or-later
"""Which QEMU it is that runs, by hash."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.qemu.binary import Qemu, find, program_of
from lab.qemu.identity import identify


def test_a_scripts_program_is_what_is_hashed(tmp_path: Path) -> None:
    program = tmp_path / "usr" / "bin" / "qemu-system-x86_64"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF one")
    script = tmp_path / "qemu"
    script.write_text(f'#!/bin/sh\nexec ld.so {program} "$@"\n')
    assert program_of(script) == program
    assert program_of(program) == program


def test_the_machines_own_qemu_is_known_by_hash() -> None:
    try:
        binary: Qemu = find()
    except UserError:
        pytest.skip("no QEMU here")
    found = identify(binary.path)
    assert binary.version in found.version
    assert len(found.program) == 64
    assert "bios-256k.bin" in found.parts
    assert found.differences(found) == []
