# SPDX-License-Identifier: GPL-2.0-or-later
"""Temporary folders do not outlive their process for long."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.system import scratch
from lab.system.scratch import open_scratch

_HOLDS = """
import sys
from lab.system.scratch import open_scratch
with open_scratch("test", sys.argv[1]) as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("x")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "scratch"


@contextlib.contextmanager
def other(name: str = "") -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that has a folder open."""
    words = [sys.executable, "-c", _HOLDS, name]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_folder_goes_with_its_block(base: Path) -> None:
    with open_scratch("a") as one, open_scratch("a") as two:
        assert one != two
        assert one.stat().st_mode & 0o777 == 0o700
        (one / "file").touch()
    with pytest.raises(ValueError, match="x"), open_scratch("a"):
        raise ValueError("x")
    assert not list(base.iterdir())


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_has_is_not(base: Path) -> None:
    with other() as (dead, left), other() as (_living, kept):
        scratch.sweep(base)
        assert (left / "deep" / "file").exists()
        kill(dead)
        assert left.exists()
        with open_scratch("mine") as mine:  # the first use in this process for this cache
            assert not left.exists()
            assert not left.with_name(f"{left.name}.lock").exists()
            scratch.sweep(base)
            assert mine.exists()
            assert (kept / "deep" / "file").exists()
    assert not kept.exists()
    assert not list(base.iterdir())


def test_a_process_number_that_is_given_again_saves_nothing(base: Path) -> None:
    left = base / f"a-{os.getpid()}-0123"  # as of an earlier process with our number
    left.mkdir(parents=True)
    left.with_name(f"{left.name}.lock").touch()
    scratch.sweep(base)
    assert not left.exists()


def test_a_lock_that_is_swept_before_it_is_held_is_made_anew(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = scratch._take
    first: list[Path] = []

    def swept(lock: Path, handle: int) -> bool:
        if not first:
            first.append(lock)
            lock.unlink()
        return take(lock, handle)

    base.mkdir(parents=True)
    monkeypatch.setattr(scratch, "_take", swept)
    with open_scratch("a") as folder:
        lock = folder.with_name(f"{folder.name}.lock")
        assert lock.exists()
        assert lock != first[0]


def test_a_socket_has_room(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / ("long" * 25)))
    with open_scratch("gdb", "stub") as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "stub"))
        assert folder.is_relative_to("/tmp")
        assert not folder.is_relative_to(tmp_path)
    assert not folder.exists()
    with other("stub") as (dead, left):
        assert left.parent == folder.parent
        kill(dead)
    scratch.sweep(left.parent, scratch._PREFIX)
    assert not left.exists()
    monkeypatch.setenv("LAB_CACHE", str(base.parent))
    with open_scratch("gdb", "stub") as folder:
        assert folder.parent == (base if len(str(base)) < 60 else folder.parent)
