# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration that `lab init` begins with: the project's own lab.yaml."""

from __future__ import annotations

from pathlib import Path

from lab.config.load import schema_text
from lab.errors import UserError
from lab.system.files import write_atomic
from lab.system.project import data

NAME = "lab.yaml"
SCHEMA = "lab.schema.json"  # the name in the first line of lab.yaml, for editors


def write_template(folder: Path, force: bool) -> None:
    """Write lab.yaml and its schema for editors; UserError if it exists, unless ``force``."""
    if (folder / NAME).exists() and not force:
        raise UserError(f"{folder / NAME}: exists already; `lab init --force` overwrites it")
    try:
        write_atomic(folder / SCHEMA, schema_text())
        write_atomic(folder / NAME, template_text())
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror})") from None


def template_text() -> str:
    """lab.yaml with every key explained; files of the project are named by absolute paths."""
    head, _, rest = data(NAME).read_text().partition("\n\n")
    head += "\n# Pages such as docs/stress.md and repro/README.md are in the lab's own repository."
    # An example names a patch to Xen.
    return f"{head}\n\n{rest}".replace("[images/", f"[{data('images')}/")
