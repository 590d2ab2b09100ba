# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab as a user runs it: real QEMU, Xen and guests, the control kernel in both states."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.helpers.kernels import bz_image
from tests.helpers.lab import DEADLINE, LAB, environment, lab, outcomes, run_folder
from tests.helpers.project import PROJECT

pytestmark = pytest.mark.boots


@pytest.fixture(scope="module")
def matrix() -> tuple[subprocess.CompletedProcess[str], Path]:
    """Both control kernels in all five kinds."""
    done = lab("run", "-c", "tests/integration/matrix.yaml")
    return done, run_folder(done.stdout)


def test_the_bad_kernel_corrupts_under_pv_and_nowhere_else(
    matrix: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, folder = matrix
    found = {name: cell["verdict"] for name, cell in outcomes(folder).items()}
    assert found == {
        "native-control-bad": "CLEAN", "dom0-control-bad": "CORRUPTS",
        "pv-control-bad": "CORRUPTS", "pvh-control-bad": "CLEAN", "hvm-control-bad": "CLEAN",
        "native-control-fixed": "CLEAN", "dom0-control-fixed": "CLEAN",
        "pv-control-fixed": "CLEAN", "pvh-control-fixed": "CLEAN", "hvm-control-fixed": "CLEAN",
    }  # fmt: skip
    assert done.returncode == 0


def test_every_guest_knew_what_it_was(
    matrix: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    for name, cell in outcomes(matrix[1]).items():
        env = cell["trials"][-1]["env"]
        kind = name.split("-")[0]
        assert env["xen"] == {"native": "none", "dom0": "pv"}.get(kind, kind)
        assert env["fpu"] == "lazy"
        assert env["control"] in name


def test_a_corruption_says_whose_value_it_was(
    matrix: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    for name in ("dom0-control-bad", "pv-control-bad"):
        example = outcomes(matrix[1])[name]["trials"][-1]["example"]
        assert example["want"] != example["got"]
        assert example["owner"] != "unknown"


def test_the_evidence_is_whole_and_verifies(
    matrix: tuple[subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> None:
    _, folder = matrix
    assert lab("verify", str(folder)).returncode == 0
    assert "Xen version" in (folder / "host" / "xen-console.log").read_text(errors="replace")
    assert "xen_version" in (folder / "host" / "xl-info.txt").read_text()
    cases = list(ET.parse(folder / "junit.xml").getroot().iter("testcase"))
    assert len(cases) == 10
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(manifest["supplies"]["kernels"]["control-bad"]["sha256"]) == 64
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    console = copy / "cells" / "pv-control-fixed" / "1" / "console.log"
    console.write_bytes(console.read_bytes().replace(b" corruptions=0", b" corruptions=7"))
    broken = lab("verify", str(copy))
    assert broken.returncode == 4
    assert "DOES NOT HOLD: cells/pv-control-fixed/1/console.log: changed" in broken.stdout


def results() -> Path:
    return Path(os.environ["LAB_RESULTS"])


def started(folder_before: set[str], cell: str) -> tuple[Path, bool]:
    """The newest run's folder, and whether a cell's program has begun to speak in it."""
    new = [p for p in results().iterdir()
           if p.name not in folder_before and not p.is_symlink() and p.is_dir()]  # fmt: skip
    if not new:
        return results(), False
    console = new[0] / "cells" / cell / "1" / "console.log"
    return new[0], console.is_file() and b"@mmx 0 start" in console.read_bytes()


def cut_off(signal_number: int) -> tuple[Path, int]:
    """Begin a run, send a signal when its first guest stresses; its folder and exit code."""
    results().mkdir(exist_ok=True)
    before = {p.name for p in results().iterdir()}
    process = subprocess.Popen(
        # Started in the background of a script, the tests themselves ignore Ctrl-C.
        ["env", "--default-signal=INT", *LAB, "run", "native-control-bad"], cwd=PROJECT,
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + DEADLINE
    folder, speaks = started(before, "native-control-bad")
    while not speaks:
        assert time.monotonic() < end, "the guest never spoke"
        assert process.poll() is None, "the run ended too early"
        time.sleep(0.1)
        folder, speaks = started(before, "native-control-bad")
    os.kill(process.pid, signal_number)
    return folder, process.wait(120)


def test_a_run_killed_at_once_is_readable_and_resumes() -> None:
    folder, _ = cut_off(signal.SIGKILL)
    assert (folder / "junit.xml").is_file()
    assert lab("verify", str(folder)).returncode == 4
    resumed = lab("run", "--resume", str(folder))
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert lab("verify", str(folder)).returncode == 0


def test_ctrl_c_ends_cleanly_with_what_was_gathered() -> None:
    folder, code = cut_off(signal.SIGINT)
    assert code == 130
    assert outcomes(folder)["native-control-bad"]["verdict"] == "LAB_ERROR"
    console = folder / "cells" / "native-control-bad" / "1" / "console.log"
    assert b"@mmx 0 start" in console.read_bytes()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "pv-nothing"), "matches no cell"),
        (("run", "-c", "/nowhere.yaml"), "cannot be read"),
        (("verify", "/tmp"), "is not a run's folder"),
        (("run", "--resume", "/tmp"), "is not a run's folder"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(words: tuple[str, ...], says: str) -> None:
    done = lab(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_memory_that_runs_short_opens_what_preempt_none_closes() -> None:
    done = lab("run", "-c", "tests/integration/pressure.yaml")
    assert done.returncode == 0, done.stdout
    cells = outcomes(run_folder(done.stdout))
    assert cells["dom0-bad~none"]["corruptions"] == 0
    assert cells["dom0-bad~none"]["windows"] > 0
    assert cells["dom0-bad~none-pressure"]["verdict"] == "CORRUPTS"
    assert all(int(t["end"]["pressed"]) for t in cells["dom0-bad~none-pressure"]["trials"])


def test_a_32_bit_program_sees_it_too(tmp_path: Path) -> None:
    """Also on a kernel that is built without the calls of 32-bit time, as the control is."""
    (tmp_path / "lab.yaml").write_text(
        "kernels: {control-bad: {control: bad}}\n"
        "stress: {arch: 32}\n"
        "expect: {corrupts: [dom0-control-bad]}\n"
    )
    done = lab("run", "-c", str(tmp_path / "lab.yaml"), "dom0-control-bad")
    assert done.returncode == 0, done.stdout
    console = (run_folder(done.stdout) / "cells/dom0-control-bad/1/console.log").read_bytes()
    assert b" arch=32 " in console


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"not a kernel", "is not a bzImage"),
        (None, "there is no file"),
        (bz_image(b"", bits=32), "is a 32-bit kernel, which cannot run the 64-bit stress program"),
    ],
)
def test_a_file_that_is_not_a_kernel_is_refused_before_anything_boots(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "bzImage").write_bytes(content)
    (tmp_path / "lab.yaml").write_text("kernels: {mine: {image: bzImage}}\n")
    done = lab("run", "-c", str(tmp_path / "lab.yaml"), "native-mine")
    assert done.returncode == 2
    assert says in done.stderr
