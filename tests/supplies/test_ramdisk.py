# SPDX-License-Identifier: GPL-2.0-or-later
"""The archive that guests boot from."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.supplies.ramdisk import file_in, ramdisk


def test_the_ramdisk_is_an_archive_that_cpio_reads(tmp_path: Path) -> None:
    archive = ramdisk(b"\x7fELF program")
    listed = subprocess.run(["cpio", "-tv"], input=archive, capture_output=True, check=True)
    lines = listed.stdout.decode().splitlines()
    assert any(line.startswith("crw") and line.endswith("dev/console") for line in lines)
    assert any(line.startswith("-rwxr-xr-x") and line.endswith(" init") for line in lines)
    subprocess.run(["cpio", "-i", "init"], input=archive, cwd=tmp_path, check=True,
                   capture_output=True)  # fmt: skip
    assert (tmp_path / "init").read_bytes() == b"\x7fELF program"
    assert archive == ramdisk(b"\x7fELF program")


def test_files_in_a_ramdisk() -> None:
    archive = ramdisk(b"program")
    assert file_in(archive, "init") == b"program"
    assert file_in(archive, "none") is None
    for damaged in (b"", b"070701", archive[:200], b"070701" + b"z" * 200):
        assert file_in(damaged, "init") in (None, b"")
