# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel packages of the RPM kind: one that rpmbuild makes, and small ones made by hand."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.config.kernel import KernelConfig
from lab.errors import UserError
from lab.kernel.resolve import resolve
from lab.system.rpm import read_rpm, unpack
from tests.helpers.kernels import bz_image, xen_note

FILES = {
    "./boot/vmlinuz-3.10.0": b"image",
    "./boot/config-3.10.0": b"CONFIG_X86=y\n",
    "./lib/modules/3.10.0/kernel/fs/ext4.ko": b"a module",
    "/etc/passwd": b"not a kernel's",
    "./boot/vmlinuz-/../../etc/cron.d/x": b"outside",
}


def cpio(files: dict[str, bytes], mode: int = 0o100644) -> bytes:
    made = b""
    for name, content in {**files, "TRAILER!!!": b""}.items():
        word = name.encode() + b"\0"
        numbers = (1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(word), 0)
        head = b"070701" + b"".join(f"{number:08x}".encode() for number in numbers)
        for part in (head + word, content):
            made += part + bytes(-len(part) % 4)
    return made


def header(tags: dict[int, str]) -> bytes:
    store, index = b"", b""
    for tag, text in tags.items():
        index += struct.pack(">IIII", tag, 6, len(store), 1)
        store += text.encode() + b"\0"
    return struct.pack(">4s4xII", b"\x8e\xad\xe8\x01", len(tags), len(store)) + index + store


def rpm_file(payload: bytes) -> bytes:
    signature = header({1000: "of the signatures", 5: "12345"})
    lead = b"\xed\xab\xee\xdb" + bytes(92)
    tags = header({1000: "kernel-core", 1001: "3.10.0", 1002: "1.el7"})
    return lead + signature + bytes(-(96 + len(signature)) % 8) + tags + payload


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lzma.compress, bz2.compress,
             lambda data: lzma.compress(data, lzma.FORMAT_ALONE)],
)  # fmt: skip
def test_only_the_kernels_own_files_are_taken(
    pack: Callable[[bytes], bytes], tmp_path: Path, cache: Path
) -> None:
    file = tmp_path / "k.rpm"
    file.write_bytes(rpm_file(pack(cpio(FILES))))
    package = read_rpm(file)
    assert (package.name, package.version) == ("kernel-core", "3.10.0-1.el7")
    assert content(unpack(package)) == {
        "boot/vmlinuz-3.10.0": b"image",
        "boot/config-3.10.0": b"CONFIG_X86=y\n",
    }
    assert cache in unpack(package).parents


def test_links_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "k.rpm"
    file.write_bytes(rpm_file(cpio({"./boot/vmlinuz-1": b"/etc/passwd"}, mode=0o120777)))
    assert content(unpack(read_rpm(file))) == {}


def test_what_is_not_a_package_is_said(tmp_path: Path) -> None:
    file = tmp_path / "k.rpm"
    with pytest.raises(UserError, match=r"there is no such \.rpm file"):
        read_rpm(file)
    whole = rpm_file(gzip.compress(cpio(FILES)))
    for bad in (b"", b"!<arch>\n", whole[:100], whole[:150], whole[:96] + bytes(200)):
        file.write_bytes(bad)
        with pytest.raises(UserError, match=r"k\.rpm is not an RPM package"):
            read_rpm(file)
    for bad in (whole[:-30], rpm_file(b"what?"), rpm_file(gzip.compress(cpio(FILES)[:300]))):
        file.write_bytes(bad)
        with pytest.raises(UserError, match="the archive in it does not unpack"):
            unpack(read_rpm(file))


def test_a_kernel_with_its_modules_is_found(tmp_path: Path) -> None:
    image, folder = bz_image(xen_note(1)), "./lib/modules/3.19.8"
    file = tmp_path / "k.rpm"
    file.write_bytes(rpm_file(cpio({f"{folder}/vmlinuz": image, f"{folder}/config": b"A=y\n"})))
    found = resolve("mine", KernelConfig(rpm=file), print)
    assert found.image.version == "3.19.8"
    assert found.kernel.provenance["version"] == "3.10.0-1.el7"
    assert found.kernel.config is not None
    assert found.kernel.config.read_text() == "A=y\n"
    file.write_bytes(rpm_file(cpio({f"{folder}/config": b"A=y\n"})))
    with pytest.raises(UserError, match="holds 0 kernels, one is wanted; name one that holds"):
        resolve("mine", KernelConfig(rpm=file), print)


SPEC = """\
Name: kernel-core
Version: 3.10.0
Release: 1.el7
Summary: a kernel for tests
License: GPL
BuildArch: noarch
%description
None.
%install
mkdir -p %{buildroot}/boot
echo image >%{buildroot}/boot/vmlinuz-3.10.0
%files
/boot/vmlinuz-3.10.0
"""


@pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not here (package rpm)")
@pytest.mark.parametrize("payload", ["w9.gzdio", "w6.xzdio", "w3.zstdio"])
def test_one_that_rpmbuild_made(tmp_path: Path, payload: str) -> None:
    (tmp_path / "k.spec").write_text(SPEC)
    subprocess.run(
        ["rpmbuild", "-bb", "--define", f"_topdir {tmp_path}", "--define",
         f"_binary_payload {payload}", "--define", "__os_install_post %{nil}", "k.spec"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    package = read_rpm(next(tmp_path.rglob("*.rpm")))
    assert (package.name, package.version) == ("kernel-core", "3.10.0-1.el7")
    assert content(unpack(package)) == {"boot/vmlinuz-3.10.0": b"image\n"}
