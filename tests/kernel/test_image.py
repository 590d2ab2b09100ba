# SPDX-License-Identifier: GPL-2.0-or-later
"""What a bzImage says of its kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.kernel import image as bzimage
from lab.kernel.image import BzImage
from tests.helpers.kernels import bz_image, xen_note


def test_bzimage_shows_version_and_what_xen_can_start(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(bz_image(xen_note(1)))
    assert bzimage.read(image) == BzImage("3.19.8", pv=True, pvh=False, bits=64)
    image.write_bytes(bz_image(xen_note(1) + xen_note(18), "6.1.0-56-amd64"))
    assert bzimage.read(image) == BzImage("6.1.0-56-amd64", pv=True, pvh=True, bits=64)
    image.write_bytes(bz_image(b""))
    assert bzimage.read(image).pv is False
    image.write_bytes(bz_image(xen_note(18), bits=32))
    assert bzimage.read(image) == BzImage("3.19.8", pv=False, pvh=True, bits=32)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"MZ", "no boot header"), (bz_image(xen_note(1))[:-64], "cut off")],
)
def test_a_broken_image_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, words: str
) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(content)
    with pytest.raises(UserError, match=words):
        bzimage.read(image)


def test_a_corrupt_payload_is_refused(tmp_path: Path) -> None:
    content = bytearray(bz_image(xen_note(1)))
    content[1024 + 12 : 1024 + 40] = bytes(28)
    image = tmp_path / "bzImage"
    image.write_bytes(content)
    with pytest.raises(UserError, match="corrupt"):
        bzimage.read(image)
