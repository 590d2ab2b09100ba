# SPDX-License-Identifier: GPL-2.0-or-later
"""A hypervisor that is there: a file."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from lab.config.xen import XenConfig
from lab.errors import UserError
from lab.xen import hypervisor as xen


def test_a_file_is_taken_gzipped_or_not(tmp_path: Path) -> None:
    image = b"\x7fELF\x01 a hypervisor"
    plain, packed = tmp_path / "xen", tmp_path / "xen.gz"
    plain.write_bytes(image)
    packed.write_bytes(gzip.compress(image))
    found = [xen.resolve(XenConfig(file=path, args="a=b")) for path in (plain, packed)]
    assert [one.image.read_bytes() for one in found] == [image, image]
    assert found[0].args == "a=b"
    assert found[0].provenance()["sha256"] == found[1].provenance()["sha256"]


@pytest.mark.parametrize("content", [b"\x7fELF\x02 xen-syms", b"MZ efi", b"\x1f\x8bbroken", b""])
def test_a_file_that_qemu_cannot_load_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "xen").write_bytes(content)
    with pytest.raises(UserError, match=r"xen\.file: .*/xen "):
        xen.resolve(XenConfig(file=tmp_path / "xen"))
    with pytest.raises(UserError, match="cannot be read"):
        xen.resolve(XenConfig(file=tmp_path / "none"))
