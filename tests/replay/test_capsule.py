# SPDX-License-Identifier: GPL-2.0-or-later
"""Capsules: equal content, equal bytes; and nothing that a stranger made gets past the reading."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError, UserError
from lab.qemu.boot import Boot
from lab.qemu.identity import Identity
from lab.replay import capsule as capsules
from lab.replay.capsule import Content, opened, write
from lab.verdict.facts import TrialFacts

FACTS = TrialFacts("dom0-old", 1, "cafe", "dom0", "old", 100, 100)
QEMU = Identity("QEMU emulator version 7.2.22", "0" * 64, {"bios-256k.bin": "1" * 64})


def content(folder: Path, **changes: Any) -> Content:
    for name in ("bzImage", "some.cpio", "xen-4", "c.log", "vmlinux"):
        (folder / name).write_bytes(f"{name} ".encode() * 1000)
    boot = Boot(
        "/usr/bin/q", "tcg", folder / "bzImage", folder / "some.cpio", "panic=1 mmx.run=cafe", 1,
        256, folder / "xen-4", "", 1,
    )  # fmt: skip
    given = {"facts": FACTS, "boot": boot, "qemu": QEMU, "console": folder / "c.log",
             "shows": "2 failed checks", "provenance": {"kernel": {"source": "image"}},
             "vmlinux": folder / "vmlinux"}  # fmt: skip
    return Content(**{**given, **changes})


def made(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "x.capsule"
    write(path, content(folder, **changes))
    return path


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The same archive with its members changed, as a stranger would."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def without(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        del members[name]

    return change


def manifest_with(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    def edit(members: dict[str, bytes]) -> None:
        body = json.loads(members["manifest.json"])
        change(body)
        members["manifest.json"] = json.dumps(body).encode()

    return rewritten(path, edit)


def test_equal_content_gives_equal_bytes_wherever_it_lies(tmp_path: Path) -> None:
    assert made(tmp_path / "a").read_bytes() == made(tmp_path / "a long name").read_bytes()


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    with opened(made(tmp_path)) as capsule:
        boot = capsule.boot("/other/qemu")
        assert boot.qemu == "/other/qemu"
        assert boot.kernel.read_bytes() == (tmp_path / "bzImage").read_bytes()
        assert (boot.args, boot.memory_mib, boot.icount) == ("panic=1 mmx.run=cafe", 256, 1)
        assert capsule.manifest.trial == FACTS
        assert capsule.manifest.identity == QEMU
        assert capsule.console == (tmp_path / "c.log").read_bytes()
        assert capsule.vmlinux is not None
        assert capsules.command_of(boot) == capsule.manifest.command
        folder = capsule.folder
    assert not folder.exists()


def test_no_path_of_this_machine_is_in_its_command(tmp_path: Path) -> None:
    with opened(made(tmp_path)) as capsule:
        assert not [word for word in capsule.manifest.command if "/" in word]
        assert "kernel console=hvc0 panic=1 mmx.run=cafe,ramdisk" in capsule.manifest.command


def test_a_free_running_boot_is_not_kept(tmp_path: Path) -> None:
    wanted = content(tmp_path).boot
    free = Boot("/q", "tcg", wanted.kernel, wanted.ramdisk, "", 1, 256)
    with pytest.raises(LabError, match="only a deterministic boot"):
        made(tmp_path, boot=free)
    assert not list(tmp_path.glob("*.capsule")), "nothing half written stays"
    assert not list(tmp_path.glob(".*"))


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught, opened(path):
        pass
    return str(caught.value)


def test_no_archive_and_a_cut_off_one(tmp_path: Path) -> None:
    path = made(tmp_path)
    whole = path.read_bytes()
    for damaged in (b"", b"garbage", whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(damaged)
        assert "is not a whole capsule" in refused(path)
    assert "cannot be read (No such file" in refused(tmp_path / "none.capsule")
    assert "cannot be read" in refused(tmp_path)


def test_every_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    path = made(tmp_path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 101):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            with opened(path) as capsule:
                assert capsule.console == (tmp_path / "c.log").read_bytes()
        except UserError:
            pass


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "kernel/../../x", "extra"])
def test_a_strange_member_is_refused(tmp_path: Path, name: str) -> None:
    path = rewritten(made(tmp_path), lambda members: members.update({name: b"x"}))
    assert "it holds '" in refused(path)
    assert not (tmp_path.parent / "evil").exists()


def test_content_that_is_not_the_manifests(tmp_path: Path) -> None:
    path = rewritten(made(tmp_path), lambda members: members.update(kernel=b"other"))
    assert "the hash of kernel is not the one in its manifest" in refused(path)


def test_a_missing_member(tmp_path: Path) -> None:
    path = rewritten(made(tmp_path), without("kernel"))
    assert "names other files than it holds" in refused(path)
    path = rewritten(made(tmp_path), without("manifest.json"))
    assert "it has no manifest.json" in refused(path)


def test_a_bomb_is_stopped_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path)
    monkeypatch.setitem(capsules.LIMITS, "console.log", 1 << 10)
    assert "console.log is larger" in refused(path)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("machine", "args"), 'panic=1",readonly'),
        (("machine", "args"), "a\nb"),
        (("machine", "xen_args"), "x;y"),
        (("machine", "vcpus"), 2),
        (("machine", "icount"), 11),
        (("machine", "memory_mib"), 1 << 40),
        (("machine", "drive"), "/dev/sda"),
        (("cell",), "\x1b[2J"),
        (("files", "kernel", "sha256"), "../../x"),
        (("facts", "more"), "x"),
        (("format",), 2),
    ],
)
def test_a_manifest_that_asks_for_more_is_refused(
    tmp_path: Path, keys: tuple[str, ...], value: Any
) -> None:
    def change(body: dict[str, Any]) -> None:
        for key in keys[:-1]:
            body = body[key]
        body[keys[-1]] = value

    assert "is not a whole capsule" in refused(manifest_with(made(tmp_path), change))


def test_deep_json_is_refused(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    path = rewritten(made(tmp_path), lambda members: members.update({"manifest.json": deep}))
    assert "its manifest.json is malformed" in refused(path)
