# SPDX-License-Identifier: GPL-2.0-or-later
"""JSON as a run's folder holds it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.console.records import Record
from lab.errors import UserError


def dump(content: dict[str, Any]) -> str:
    """The text of a JSON file of a run."""
    return json.dumps(content, indent=1, sort_keys=False, default=str) + "\n"


def dump_records(records: Sequence[Record]) -> str:
    """The text of records.jsonl: one record a line."""
    return "".join(f"{json.dumps(record.as_json())}\n" for record in records)


def load(path: Path) -> dict[str, Any]:
    """A JSON object from a run's folder; UserError when it is not one."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a run's evidence ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: should hold a JSON object")
    return content
