# SPDX-License-Identifier: GPL-2.0-or-later
"""The control kernel: today's Debian source with the old mistake put back (images/control).

It stands in where no real affected kernel is at hand. It is never called anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from lab.errors import UserError
from lab.kernel.build import build
from lab.kernel.kernel import Kernel
from lab.kernel.source import PackageSource
from lab.kernel.spec import BuildSpec
from lab.system import debian
from lab.system.project import data

PATCHES = data("images", "control")
FRAGMENTS = tuple(
    data("images", "kconfig", f"{name}.config") for name in ("base", "xen", "lazyfpu", "preempt")
)


def build_control(state: Literal["bad", "fixed"], report: Callable[[str], None]) -> Kernel:
    """``bad``: with the mistake; ``fixed``: with the seed's stts() and clts() around the sleep."""
    series, package = _find_source_package()
    # In order: the mistake, then the fix.
    patches = sorted((PATCHES / series).glob("*.patch"))
    wanted = patches[:1] if state == "bad" else patches[:2]
    spec = BuildSpec(
        name=f"control-{state}",
        source=PackageSource.download(package),
        patches=tuple(wanted),
        fragments=FRAGMENTS,
        facts={"control": state},
    )
    return build(spec, report)


def list_series() -> list[str]:
    """Kernel series for which there are patches, such as 6.1."""
    return sorted(path.name for path in PATCHES.iterdir() if path.is_dir())


def _find_source_package() -> tuple[str, str]:
    """The first series for which both patches and Debian's source are there."""
    for series in list_series():
        name = f"linux-source-{series}"
        try:
            debian.find_candidate(name)
        except UserError:
            continue
        return series, name
    raise UserError(
        f"the control kernel needs one of linux-source-{{{','.join(list_series())}}}, "
        "and apt knows none of them: run `apt-get update`, or use a kernel of your own"
    )
