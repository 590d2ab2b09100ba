# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages from templates: the one owner of jinja2.

Everything that a template puts into a page is escaped for HTML, and its hidden characters are
shown as escapes (lab/console/visible.py): consoles, reasons and names are untrusted alike. Only
drawings of this package are taken as they are; they have done both on their own.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab.console.visible import reveal
from lab.report.table import how_sure
from lab.system.files import write_atomic

_TEMPLATES = Path(__file__).with_name("templates")
STYLE = "style.css"


def render(template: str, **facts: Any) -> str:
    """The text of a page; a fact that a template asks for and is not given is an error."""
    return _environment().get_template(template).render(**facts)


def write_style(folder: Path) -> None:
    """The style sheet, which every folder of pages has its own copy of; made when missing."""
    folder.mkdir(exist_ok=True)
    style = (_TEMPLATES / STYLE).read_bytes()
    target = folder / STYLE
    if not target.is_file() or target.read_bytes() != style:
        write_atomic(target, style)


@functools.cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.filters["count"] = lambda number: f"{number:,}"
    made.filters["sure"] = how_sure
    return made


def _finalize(value: Any) -> Any:
    """Markup (a drawing that was marked as safe, an inherited block) is left as it is."""
    return reveal(value) if type(value) is str else value
