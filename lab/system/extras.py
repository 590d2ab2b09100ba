# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's optional extras: what of one is not installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable


def list_missing(modules: Iterable[str]) -> list[str]:
    """Those that cannot be imported, without importing any."""
    return [name for name in modules if importlib.util.find_spec(name) is None]
