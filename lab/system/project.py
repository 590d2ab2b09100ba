# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the project's own data is: in a checkout beside lab/, once installed in lab/_data."""

from __future__ import annotations

from pathlib import Path

_LAB = Path(__file__).resolve().parents[1]
_CARRIED = _LAB / "_data"  # setup.py puts it into the wheel; a checkout lacks it
INSTALLED = _CARRIED.is_dir()
PYTHON_PATH = _LAB.parent  # where `import lab` finds this very lab


def data(*names: str) -> Path:
    """A path below the top of the repository, such as ``data("images", "kconfig")``.

    There are images/, plans/, repro/, lab.yaml and packages.txt. They are only to be read: an
    installed lab may belong to somebody else.
    """
    return (_CARRIED if INSTALLED else _LAB.parent).joinpath(*names)
