# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the runs' folders are made."""

from __future__ import annotations

import os
from pathlib import Path

from lab.errors import UserError

VARIABLE = "LAB_RESULTS"


def find_results(option: Path | None, configured: Path | None) -> Path:
    """The first that is given: ``--results``, ``$LAB_RESULTS``, ``results:`` of lab.yaml; else
    ``results`` in the current folder. Absolute; it may not exist yet.
    """
    variable = os.environ.get(VARIABLE)
    named = option or (Path(variable) if variable else configured)
    return (named or Path("results")).expanduser().absolute()


def place_results(option: Path | None, configured: Path | None) -> Path:
    """The same for a new run; UserError if no folder can be made, before anything is built."""
    root = find_results(option, configured)
    there = next(path for path in (root, *root.parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"{there}: is not a folder, so no results can be kept in {root}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{there}: cannot be written to; name another folder by --results")
    return root
