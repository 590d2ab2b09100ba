# SPDX-License-Identifier: GPL-2.0-or-later
"""What boards need beyond the lab's own packages: the extra `boards`."""

from __future__ import annotations

from lab.errors import LabError
from lab.system.extras import list_missing

MODULES = ("labgrid", "pyghmi", "serial", "sushy")  # serial: pyserial-labgrid, labgrid's own fork


def require() -> None:
    """LabError, a sentence that says what to install, unless all of it is here."""
    missing = list_missing(MODULES)
    if missing:
        raise LabError(
            f"boards need Python packages that are not installed ({', '.join(missing)}): "
            "`make setup BOARDS=1`, or `pip install 'xen-fpu-lab[boards]'`"
        )
