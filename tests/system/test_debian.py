# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's source packages, from an archive in a folder."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from lab.system import debian


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt that lists versions 2 and 10 and does not keep 10. It writes down its words."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    log = tmp_path / "apt.log"
    script = f"""#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$*" in
  *indextargets*) echo "http://archive.invalid/debian/ stable main";
                  echo "http://archive.invalid/debian/ stable main" ;;
  *showsrc*) printf 'Package: xen\\nVersion: 2-1\\n\\nPackage: xen\\nVersion: 10-1\\n' ;;
  *--download-only*=10-1*) echo "E: Failed to fetch: 404  Not Found"; exit 100 ;;
  *--download-only*) touch xen_2-1.dsc xen_2.orig.tar.xz ;;
esac
"""
    for name in ("apt-get", "apt-cache"):
        (bin_ / name).write_text(script)
        (bin_ / name).chmod(0o755 | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin:/usr/sbin:/sbin")
    return log


@pytest.mark.skipif(not shutil.which("dpkg"), reason="needs dpkg to compare versions")
def test_the_source_is_the_newest_that_the_archive_keeps(archive: Path, cache: Path) -> None:
    said: list[str] = []
    for wanted in ("10-1", None, "2-1"):
        found = debian.fetch_source("xen", wanted, said.append)
        assert (found.version, found.file.name) == ("2-1", "xen_2-1.dsc")
    assert "the archive does not have xen 10-1" in said
    calls = archive.read_text()
    fetched = [line for line in calls.splitlines() if "--download-only" in line]
    assert [line.rsplit("=", 1)[1] for line in fetched] == ["10-1", "2-1", "10-1"]
    debian.fetch_source("xen", "10-1", said.append)
    assert archive.read_text() == calls
    # Lists of its own, in the cache: nobody's sources are changed, no root is needed.
    (entry,) = (cache / "src" / "apt" / "sources.list").read_text().splitlines()
    assert entry.startswith("deb-src ")
    assert entry.endswith("http://archive.invalid/debian/ stable main")
    assert f"-o=Dir::State::Lists={cache / 'src' / 'apt' / 'lists'}" in calls
