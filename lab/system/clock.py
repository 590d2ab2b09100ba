# SPDX-License-Identifier: GPL-2.0-or-later
"""The time, as evidence and logs have it."""

from __future__ import annotations

import time


def now() -> str:
    """The time in UTC, to the second, in the form of ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
