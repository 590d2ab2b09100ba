# SPDX-License-Identifier: GPL-2.0-or-later
"""A run as one file: the same every time, signed, and unpacked with care."""

from __future__ import annotations

import json
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import LabError, UserError
from lab.evidence import archive as module
from lab.evidence.archive import export, unpack
from lab.evidence.run import RunFolder
from lab.system.signature import check
from tests.helpers.nights import control, outcome, write_run

RUN = "20261101T020000Z-abcd"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path / "results", RUN, [control(), outcome("dom0-mine")])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of keys, a and b."""
    folder = tmp_path_factory.mktemp("keys")
    for name in "ab":
        words = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            name,
            "-f",
            f"{folder}/{name}",
        ]
        subprocess.run(words, check=True)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_what_is_packed_is_unpacked(run: RunFolder, tmp_path: Path) -> None:
    export(run, tmp_path / "a.zip", None)
    found = unpack(tmp_path / "a.zip", tmp_path / "there")
    assert content(found.folder) == content(run.path)
    assert found.signature is None
    assert RunFolder.open(found.folder).find_changes() == []


def test_the_same_run_makes_the_same_archive(run: RunFolder, tmp_path: Path) -> None:
    export(run, tmp_path / "a.zip", None)
    (run.path / ".scratch").write_text("of an editor")
    for path in run.path.rglob("*"):
        path.touch()
    export(run, tmp_path / "b.zip", None)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_run_that_is_not_sealed_is_not_exported(tmp_path: Path) -> None:
    open_run = write_run(tmp_path, RUN, [control()], sealed=False)
    with pytest.raises(UserError, match="is not sealed"):
        export(open_run, tmp_path / "a.zip", None)
    assert not (tmp_path / "a.zip").exists()


def test_a_link_is_not_exported(run: RunFolder, tmp_path: Path) -> None:
    (run.path / "link").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="is not a plain file"):
        export(run, tmp_path / "a.zip", None)


def test_who_signed(run: RunFolder, tmp_path: Path, keys: Path) -> None:
    export(run, tmp_path / "a.zip", keys / "a")
    found = unpack(tmp_path / "a.zip", tmp_path / "there")
    assert found.signature is not None
    assert "ED25519 key SHA256:" in check(found.listed, found.signature, None)
    assert 'Good "xen-fpu-lab" signature' in check(found.listed, found.signature, keys / "a.pub")
    allowed = tmp_path / "allowed"
    allowed.write_text(f"someone@there {(keys / 'a.pub').read_text()}")
    assert "for someone@there" in check(found.listed, found.signature, allowed)
    with pytest.raises(LabError):
        check(found.listed, found.signature, keys / "b.pub")
    with pytest.raises(LabError):
        check(found.listed + b" ", found.signature, keys / "a.pub")
    with pytest.raises(LabError):
        check(found.listed + b" ", found.signature, None)
    with pytest.raises(UserError, match="is a private key"):
        check(found.listed, found.signature, keys / "a")


def test_a_key_that_cannot_sign(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no key file"):
        export(run, tmp_path / "a.zip", tmp_path / "none")
    (tmp_path / "odd").write_text("not a key")
    with pytest.raises(UserError, match="cannot sign with it"):
        export(run, tmp_path / "a.zip", tmp_path / "odd")
    assert not (tmp_path / "a.zip").exists()


def change(path: Path, edit: Callable[[dict[str, bytes]], None]) -> Path:
    """Another archive with other members."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    edit(members)
    made = path.with_name("changed.zip")
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(name, data)
    return made


def refuse(path: Path, words: str, tmp_path: Path) -> None:
    into = tmp_path / "into"
    with pytest.raises(UserError, match=words):
        unpack(path, into)
    assert not list(tmp_path.parent.rglob("planted*"))


@pytest.mark.parametrize(
    "name",
    ["../planted", f"{RUN}/../planted", f"{RUN}/../../planted", "/tmp/planted", f"{RUN}/a//planted",
     f"{RUN}/./planted", f"{RUN}\\..\\planted", f"{RUN}/cells/a\nplanted", f"{RUN}/cells/",
     "planted", "other/planted", f"{RUN}/{'x' * 300}"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere(run: RunFolder, tmp_path: Path, name: str) -> None:
    export(run, tmp_path / "a.zip", None)
    made = change(tmp_path / "a.zip", lambda members: members.update({name: b"x"}))
    refuse(made, "is not a file of a run|one run's folder", tmp_path)


def test_a_link_in_an_archive(run: RunFolder, tmp_path: Path) -> None:
    export(run, tmp_path / "a.zip", None)
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as out:
        info = zipfile.ZipInfo(f"{RUN}/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(info, "/etc/passwd")
    refuse(tmp_path / "a.zip", "is not a file of a run", tmp_path)


def test_files_that_were_changed_added_or_taken_out(run: RunFolder, tmp_path: Path) -> None:
    export(run, tmp_path / "a.zip", None)
    plan, lst = f"{RUN}/plan.json", f"{RUN}/export.json"
    for edit, words in (
        (lambda m: m.update({plan: b"{}"}), "hash of"),
        (lambda m: m.pop(plan), "in both"),
        (lambda m: m.update({f"{RUN}/more": b""}), "in both"),
        (lambda m: m.update({f"{plan}/more": b""}), "a file and a folder"),
        (lambda m: m.pop(lst), "it has no export.json"),
        (lambda m: m.update({lst: b"[]"}), "malformed"),
        (lambda m: m.update({lst: b"["}), "malformed"),
        (lambda m: m.update({lst: b"[" * 100_000}), "malformed"),
        (lambda m: m.update({lst: json.dumps({"run": RUN, "files": {}}).encode()}), "format None"),
        (lambda m: m.clear(), "holds 0 files"),
    ):  # fmt: skip
        refuse(change(tmp_path / "a.zip", edit), words, tmp_path)


def test_more_than_the_limits(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run.path / "cells" / "dom0-bad" / "1" / "console.log").write_bytes(b"\0" * (3 << 20))
    run.seal()
    export(run, tmp_path / "a.zip", None)
    assert (tmp_path / "a.zip").stat().st_size < 1 << 20
    monkeypatch.setattr(module, "MOST_BYTES", 2 << 20)
    refuse(tmp_path / "a.zip", "more than 2 MiB", tmp_path)
    monkeypatch.setattr(module, "MOST_FILES", 3)
    refuse(tmp_path / "a.zip", "1 to 3 are right", tmp_path)


def test_a_file_twice(run: RunFolder, tmp_path: Path) -> None:
    export(run, tmp_path / "a.zip", None)
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "a") as out,
        pytest.warns(UserWarning, match="Duplicate"),
    ):
        out.writestr(f"{RUN}/plan.json", "{}")
    refuse(tmp_path / "a.zip", "twice", tmp_path)


def test_what_is_not_an_archive(run: RunFolder, tmp_path: Path) -> None:
    export(run, tmp_path / "a.zip", None)
    whole = (tmp_path / "a.zip").read_bytes()
    odd = tmp_path / "odd.zip"
    for data in (b"", b"no archive", whole[:-100], whole[: len(whole) // 2], whole[200:]):
        odd.write_bytes(data)
        refuse(odd, "is not a whole archive|a damaged zip archive", tmp_path)
    refuse(tmp_path / "nowhere.zip", "cannot be unpacked", tmp_path)
    for place in range(0, len(whole), max(1, len(whole) // 80)):
        odd.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            unpack(odd, tmp_path / f"into{place}")
        except UserError:
            continue
