# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cluster needs beyond the lab's own packages: the extra `cluster`."""

from __future__ import annotations

import importlib.util

from lab.errors import UserError

MODULES = ("distributed", "cryptography")


def require() -> None:
    """UserError, a sentence that says what to install, unless all of it is here."""
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"a cluster needs Python packages that are not installed ({', '.join(missing)}): "
            "`pip install 'xen-fpu-lab[cluster]'` installs them"
        )
