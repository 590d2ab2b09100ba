# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parts of lab.yaml's shape share."""

from __future__ import annotations

import difflib
import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# One line, no quotes or commas: these words go into QEMU's -initrd string and xl's configuration.
_ARGS = re.compile(r"[A-Za-z0-9_.,:=/+@ -]*")
MAX_SHIFT = 10  # QEMU's own limit of an instruction's length, 2^shift ns
Args = Annotated[str, Field(description="Words added to the kernel's command line.")]


class Model(BaseModel):
    """A mapping of lab.yaml: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def check_args(value: str) -> str:
    """Boot arguments as they are; ValueError when they hold what could break a command line."""
    if not _ARGS.fullmatch(value):
        raise ValueError("boot arguments may hold letters, digits and _.,:=/+@- only, on one line")
    return value


def unknown(key: str, known: tuple[str, ...]) -> str:
    """The message for an unknown key, with the nearest known one."""
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key {key!r}; {hint}"
