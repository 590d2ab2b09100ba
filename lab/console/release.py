# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux version as a guest, an image or a package says it, in numbers."""

from __future__ import annotations

import re

Release = tuple[int, int, int]  # 3.19.8 is (3, 19, 8)


def read_release(text: str) -> Release:
    """(3, 19, 8) of 3.19.8-foo, (6, 1, 0) of 6.1; zeros of what does not begin like a version."""
    found = re.match(r"(\d{1,3})\.(\d{1,4})(?:\.(\d{1,4}))?", text)
    if not found:
        return 0, 0, 0
    return int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)
