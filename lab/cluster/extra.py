# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cluster needs beyond the lab's own packages: the extra `cluster`."""

from __future__ import annotations

from lab.errors import UserError
from lab.system.extras import list_missing

MODULES = ("distributed", "cryptography")


def require() -> None:
    """UserError, a sentence that says what to install, unless all of it is here."""
    missing = list_missing(MODULES)
    if missing:
        raise UserError(
            f"a cluster needs Python packages that are not installed ({', '.join(missing)}): "
            "`pip install 'xen-fpu-lab[cluster]'` installs them"
        )
