# SPDX-License-Identifier: GPL-2.0-or-later
"""Room for the night: old evidence goes first, as `keep:` of lab.yaml says."""

from __future__ import annotations

from lab.config.keep import KeepConfig
from lab.errors import LabError, UserError
from lab.history.index import open_index
from lab.history.tidy import tidy
from lab.nightly.desk import Desk

_MIB = 1 << 20


def make_room(desk: Desk, keep: KeepConfig) -> None:
    """Remove what is not kept, and say so. A night is not given up because that fails."""
    try:
        with open_index(desk.results) as index:
            made = tidy(index, keep)
    except (LabError, UserError) as error:
        _note(desk, f"old evidence was not removed: {error}")
        return
    if made.going:
        freed = (made.size - made.left) / _MIB
        _note(desk, f"evidence of {len(made.going)} old runs was removed, {freed:.0f} MiB")
    if not made.enough:
        _note(
            desk,
            f"results take {made.left / _MIB:.0f} MiB, more than keep.gib allows; what is left was "
            "not as expected or is not of a night: remove by hand what is not wanted",
        )


def _note(desk: Desk, text: str) -> None:
    if text not in desk.night.notes:  # a night that is continued comes here again
        desk.night.notes.append(text)
        desk.save()
    desk.say(text)
