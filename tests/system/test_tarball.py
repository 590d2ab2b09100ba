# SPDX-License-Identifier: GPL-2.0-or-later
"""A tarball of somebody else's: what it may hold is written, the rest is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.system.tarball import read_unpacked, unpack


def member(name: str, kind: bytes = tarfile.REGTYPE, goal: str = "", mode: int = 0o644) -> object:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, goal, mode
    made.size = 5 if kind == tarfile.REGTYPE else 0
    return made


def pack(file: Path, *members: object) -> Path:
    with tarfile.open(file, "w:xz") as tar:
        for one in members:
            assert isinstance(one, tarfile.TarInfo)
            tar.addfile(one, io.BytesIO(b"hello") if one.isreg() else None)
    return file


def test_files_folders_and_links_inside(tmp_path: Path) -> None:
    file = pack(
        tmp_path / "t.tar.xz",
        member("linux-1", tarfile.DIRTYPE),
        member("linux-1/run.sh", mode=0o6755),
        member("linux-1/deep/down/file", mode=0o666),
        member("linux-1/deep/link", tarfile.SYMTYPE, "../run.sh"),
    )
    unpack(file, tmp_path / "src")
    src = tmp_path / "src"
    assert sorted(p.name for p in src.iterdir()) == ["deep", "run.sh"]
    assert (src / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (src / "deep/down/file").stat().st_mode & 0o7777 == 0o644
    assert (src / "deep/link").read_bytes() == b"hello"


@pytest.mark.parametrize(
    "members",
    [
        [member("linux-1/../../evil")],
        [member("/etc/evil")],
        [member("linux-1/a", tarfile.SYMTYPE, "/etc"), member("linux-1/a/evil")],
        [member("linux-1/a", tarfile.SYMTYPE, "../../evil")],
        [
            member("linux-1/d/b", tarfile.SYMTYPE, ".."),
            member("linux-1/a", tarfile.SYMTYPE, "d/b/../evil"),
        ],
        [member("linux-1/a", tarfile.LNKTYPE, "linux-1/b")],
        [member("linux-1/null", tarfile.CHRTYPE)],
        [member("linux-1/pipe", tarfile.FIFOTYPE)],
    ],
)
def test_what_leads_outside_is_refused(members: list[object], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    file = pack(tmp_path / "t.tar.xz", *members)
    with pytest.raises(LabError):
        unpack(file, outside / "src")
    assert list(outside.iterdir()) == []


def test_a_damaged_one(tmp_path: Path) -> None:
    file = pack(tmp_path / "t.tar.xz", *(member(f"linux-1/{n}") for n in range(5000)))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(LabError, match="cannot be unpacked"):
        unpack(file, tmp_path / "src")
    with pytest.raises(LabError, match="is cut off"):
        list(read_unpacked(file))
