# SPDX-License-Identifier: GPL-2.0-or-later
"""The units of systemd: what they say, and that systemd understands them."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import LabError, UserError
from lab.nightly import install as module
from lab.nightly.install import check_time, check_units, find_units, install, uninstall
from lab.nightly.unit import NAME, Installation

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def made(tmp_path: Path) -> Installation:
    config = tmp_path / "a lab 100%" / "lab.yaml"
    config.parent.mkdir()
    (tmp_path / "results").mkdir()
    return Installation(
        [sys.executable, "-m", "lab"], config, tmp_path / "results", tmp_path, tmp_path,
        "/usr/bin:/bin", "*-*-* 02:00", user=False,
    )  # fmt: skip


def test_the_units_say_what_a_night_needs(made: Installation) -> None:
    units = made.units()
    service, timer = units[f"{NAME}.service"], units[f"{NAME}.timer"]
    assert "OnCalendar=*-*-* 02:00\nPersistent=true\n" in timer
    assert f"OnFailure={NAME}-failed.service" in service
    assert "Restart=on-abnormal" in service
    assert 'a lab 100%%/lab.yaml" --results ' in service
    # What QEMU and libvirt could not run under.
    for word in ("PrivateTmp", "MemoryDenyWriteExecute", "PrivateDevices", "RestrictNamespaces"):
        assert word not in service


@needs_systemd
@pytest.mark.parametrize("user", [False, True])
def test_systemd_understands_the_units(made: Installation, tmp_path: Path, user: bool) -> None:
    said: list[str] = []
    paths = []
    for name, text in replace(made, user=user).units().items():
        paths.append(tmp_path / name)
        paths[-1].write_text(text)
    check_units(paths, said.append)
    assert said == []


@needs_systemd
@pytest.mark.parametrize(
    ("old", "new"),
    [("Type=oneshot", "Type=sometimes"), ("ExecStart=", "ExecStart=/none/such "),
     ("RestartSec=30", "RestartSeconds=30")],
)  # fmt: skip
def test_a_mistake_in_a_unit_is_noticed(
    made: Installation, tmp_path: Path, old: str, new: str
) -> None:
    paths = []
    for name, text in made.units().items():
        paths.append(tmp_path / name)
        paths[-1].write_text(text.replace(old, new, 1) if name == f"{NAME}.service" else text)
    with pytest.raises(LabError, match="systemd-analyze verify: "):
        check_units(paths, print)


@needs_systemd
def test_a_time_that_systemd_does_not_understand_is_one_sentence() -> None:
    check_time("Mon..Fri 03:30", print)
    with pytest.raises(UserError, match="--at 'at night': systemd does not understand it"):
        check_time("at night", print)


def test_installed_and_removed_for_a_user(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ask", lambda *_: False)
    said: list[str] = []
    for_user = replace(made, user=True)
    install(for_user, said.append)
    place = find_units(True)
    assert str(place).startswith(str(Path.home()))
    assert sorted(path.name for path in place.iterdir()) == sorted(for_user.units())
    uninstall(True, said.append)
    assert list(place.iterdir()) == []
    uninstall(True, said.append)
    assert said[-1] == f"nothing is installed in {place}"


def test_a_folder_that_cannot_be_written_is_one_sentence(
    made: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(module, "_SYSTEM", tmp_path / "file" / "units")
    with pytest.raises(UserError, match="cannot be written to"):
        install(made, print)


def test_a_line_break_does_not_come_into_a_unit(made: Installation) -> None:
    bad = replace(made, results=Path("/a\n[Service]\nExecStart=/bin/true"))
    with pytest.raises(UserError, match="line break"):
        bad.units()
