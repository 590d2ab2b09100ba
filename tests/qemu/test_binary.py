# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import LabError, UserError
from lab.qemu import accelerator as accel
from lab.qemu import binary, choice
from lab.qemu import private as privateqemu
from lab.qemu.accelerator import Accel


def fake(folder: Path, says: str, name: str = binary.NAME) -> Path:
    """A QEMU that only knows its version."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def says(version: str) -> str:
    return f"QEMU emulator version {version} (Debian 1:{version}+dfsg-1)"


@pytest.fixture(autouse=True)
def _only_fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("LAB_QEMU", raising=False)
    monkeypatch.setattr(accel, "decide", lambda *_: Accel("tcg", "a test"))


def test_versions_are_read_from_qemus_first_line() -> None:
    assert binary.parse_version(says("7.2.22")) == (7, 2, 22)
    assert binary.parse_version("QEMU emulator version 10.0") == (10, 0, 0)
    assert binary.parse_version("bochs 2.7") is None


@pytest.mark.parametrize(
    ("version", "hvm"),
    [((7, 2, 0), True), ((8, 2, 1), False), ((10, 0, 2), False), ((11, 1, 3), False)],
)
def test_kinds_follow_the_version(version: tuple[int, ...], hvm: bool) -> None:
    kinds, why = binary.kinds_of(version)
    assert ("hvm" in kinds) is hvm
    assert ("pvh" in kinds) is hvm
    assert {"native", "dom0", "pv"} <= set(kinds)
    assert why


def test_an_untried_version_that_the_user_chose_is_tried() -> None:
    assert "hvm" in binary.kinds_of((8, 2, 1), chosen=True)[0]
    assert "hvm" not in binary.kinds_of((10, 0, 2), chosen=True)[0]


def test_a_good_machine_needs_nothing_else(tmp_path: Path) -> None:
    path = fake(tmp_path, says("7.2.22"))
    found = choice.choose()
    assert (found.path, found.version, found.origin) == (path, "7.2.22", "machine")
    assert found.complete


def test_too_old_and_no_qemu_are_the_users_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fake(tmp_path, says("5.2.0"))
    with pytest.raises(UserError, match=r"5\.2\.0, too old: 7\.2"):
        binary.find()
    old.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="not installed"):
        binary.find()


def test_what_lab_qemu_names_must_be_a_qemu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_QEMU", str(tmp_path / "nothing"))
    with pytest.raises(UserError, match="no such program"):
        binary.find()
    monkeypatch.setenv("LAB_QEMU", str(fake(tmp_path, "hello", "other")))
    with pytest.raises(UserError, match="does not say that it is a QEMU"):
        binary.find()


def test_lab_qemu_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_QEMU", str(fake(tmp_path, says("10.0.2"), "other")))
    found = choice.choose()
    assert (found.version, found.origin) == ("10.0.2", "$LAB_QEMU")
    assert not found.complete


def test_a_newer_machine_gets_a_private_qemu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, says("10.0.13"))
    private = fake(tmp_path, says("7.2.22"), "private")
    monkeypatch.setattr(privateqemu, "ensure", lambda _report: private)
    found = choice.choose()
    assert (found.path, found.origin) == (private, "private")
    assert found.complete


def test_kvm_that_nests_makes_a_private_one_needless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, says("10.0.13"))
    monkeypatch.setattr(accel, "decide", lambda *_: Accel("kvm", "a test", nests=True))
    assert choice.choose().origin == "machine"


def test_without_a_private_one_the_fewer_kinds_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_report: object) -> Path:
        raise LabError("no network")

    fake(tmp_path, says("10.0.13"))
    monkeypatch.setattr(privateqemu, "ensure", broken)
    found = choice.choose()
    assert found.kinds == ("native", "dom0", "pv")
    assert "no network" in found.why


def test_the_private_program_uses_nothing_of_the_machine() -> None:
    text = privateqemu.script(Path("/c/it's"))
    assert text.startswith("#!/bin/sh\n")
    assert "export QEMU_MODULE_DIR='/c/it'\"'\"'s/usr/lib/x86_64-linux-gnu/qemu'" in text
    assert text.rstrip().endswith('"$@"')
    plain = privateqemu.script(Path("/c"))
    assert "exec /c/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 --library-path /c/lib/" in plain
    assert "-L /c/usr/share/seabios" in plain
