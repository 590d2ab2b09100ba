# SPDX-License-Identifier: GPL-2.0-or-later
"""Deterministic boots for real: two side by side are the same to the last byte."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.console import records
from lab.replay.capsule import opened
from tests.helpers.lab import lab, run_folder
from tests.helpers.project import PROJECT

pytestmark = pytest.mark.boots


def said_by(*words: str, cwd: Path = PROJECT) -> tuple[int, str]:
    done = lab(*words, cwd=cwd)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def capsule(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capsule") / "x.capsule"
    code, said = said_by("capsule", "dom0-control-bad", "-o", str(path))
    assert code == 0, said
    return path


def test_two_boots_side_by_side_are_identical_and_corrupt() -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = list(
            pool.map(lambda _: said_by("run", "dom0-control-bad", "--deterministic"), range(2))
        )
    assert [code for code, _ in runs] == [0, 0], runs
    folders = [run_folder(output) / "cells" / "dom0-control-bad" / "1" for _, output in runs]
    one, two = ((folder / "console.log").read_bytes() for folder in folders)
    assert one == two
    assert b" corrupt t=" in one
    capsules = [(folder / "replay.capsule").read_bytes() for folder in folders]
    assert capsules[0] == capsules[1]
    code, said = said_by("replay", str(folders[0]))
    assert code == 0, said
    assert "identical" in said


def test_a_replay_that_differs_says_where(capsule: Path, tmp_path: Path) -> None:
    changed = _with_another_seed(capsule, tmp_path / "changed.capsule")
    code, said = said_by("replay", str(changed), cwd=tmp_path)
    assert code == 8, said
    assert "the consoles part in line" in said
    assert "another QEMU command line" in said
    assert (tmp_path / "dom0-control-bad.replayed.log").is_file()


def _with_another_seed(path: Path, target: Path) -> Path:
    """The same capsule, but for a boot argument: its console is another one."""
    import json
    import zipfile

    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as out:
        for info in source.infolist():
            data = source.read(info)
            if info.filename == "manifest.json":
                body = json.loads(data)
                body["machine"]["args"] += " mmx.victims=3"
                data = json.dumps(body).encode()
            out.writestr(info.filename, data)
    return target


def test_nested_cells_are_left_out_with_a_word() -> None:
    code, said = said_by("run", "pv-control-bad", "--deterministic")
    assert code == 2
    assert "only native and dom0 cells can be deterministic" in said


def test_the_time_diagram_from_a_real_run(capsule: Path, tmp_path: Path) -> None:
    code, said = said_by("trace", str(capsule), "-o", str(tmp_path / "x"))
    assert code == 0, said
    # A task reads what it never had, or has its own last load lost.
    assert "instead of its own" in " ".join(said.split()), "the dom0 side"
    assert "trapped, and read" in said.split("natively")[-1], "the native side"
    assert (tmp_path / "x.svg").read_text().startswith("<svg ")
    assert max(map(len, (tmp_path / "x.txt").read_text().splitlines())) <= 132


def test_gdb_stops_before_the_failed_check_and_the_boot_stays_the_same(capsule: Path) -> None:
    commands = [
        "bt 2", "mm", "monitor info replay",
        "reverse-stepi", "monitor info replay", "stepi", "monitor info replay",
        "break sys_getpid", "continue", "bt 2", "delete", "continue",
    ]  # fmt: skip
    words = [word for command in commands for word in ("--gdb-command", command)]
    code, said = said_by("replay", str(capsule), "--gdb", *words)
    assert code == 0, said
    nm = re.search(r"> nm +0\.0 +(\d+) .*CR0\.TS=0, the kernel wrote 1 last", said)
    failed = re.search(r"  failed +[\d.]+ +(\d+) ", said)
    read = re.search(r"has read mm0: ([0-9a-f]{16}) ", said)
    assert nm is not None, said
    assert failed is not None, said
    assert read is not None, said
    assert int(nm.group(1)) < int(failed.group(1))
    # The processor itself: in the #NM, of the opener, and Xen has cleared TS.
    assert "#0  0xffffffff" in said
    assert " in exc_device_not_available ()" in said
    assert "CR0.TS=0  running: A: opener" in said
    places = [int(n) for n in re.findall(r"instruction count = (\d+)", said)]
    assert places == [int(nm.group(1)), int(nm.group(1)) - 1, int(nm.group(1))]
    # The failed check itself, then the boot's own end.
    assert "sys_getpid" in said.split("Breakpoint 1, ")[1]
    console = next(line for line in said.splitlines() if line.startswith("identical: "))
    assert console.endswith(" bytes of console")
    corrupt = next(r for r in records.parse(console_of(capsule)).of("corrupt"))
    assert corrupt.fields["got"] == read.group(1)


def console_of(path: Path) -> bytes:
    with opened(path) as capsule:
        return capsule.console
