# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever happens, a user gets one sentence and an exit code of the table."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lab.cli import main as module
from lab.exitcodes import Exit


def end(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def app() -> None:
        raise error

    monkeypatch.setattr(module, "app", app)
    return module._main()


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "/results/x: the disk is full; what was written stays"),
        (errno.EROFS, "/results/x: the disk is read-only; "),
        (errno.EMFILE, "/results/x: too few open files are allowed (ulimit -n); "),
    ],
)
def test_what_the_machine_lacks_is_not_the_labs_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, says: str
) -> None:
    error = OSError(number, os.strerror(number), "/results/x")
    assert end(monkeypatch, error) == Exit.LAB_ERROR
    said = capsys.readouterr().err
    assert said.startswith(f"lab: {says}")
    assert said.count("\n") == 1


def test_no_memory(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert end(monkeypatch, MemoryError()) == Exit.LAB_ERROR
    assert capsys.readouterr().err.startswith("lab: there is not enough memory")


def test_a_fault_of_the_lab_whose_details_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "file"))
    assert end(monkeypatch, RuntimeError("x")) == Exit.LAB_ERROR
    said = capsys.readouterr().err
    assert said == ("lab: internal error, RuntimeError: x (and the details could not be written)\n")
