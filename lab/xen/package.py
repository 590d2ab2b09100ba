# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of Debian's packages holds the hypervisor."""

from __future__ import annotations

from lab.config.xen import XenConfig
from lab.errors import UserError
from lab.system import debian


def find_package(config: XenConfig) -> str:
    """The configured package, or the one that Debian's own Xen system depends on."""
    if config.package != "auto":
        return config.package
    for name in debian.find_dependencies("xen-system-amd64"):
        if name.startswith("xen-hypervisor-"):
            return name
    raise UserError(
        "lab.yaml: xen.package: apt has no xen-system-amd64, which names today's hypervisor; "
        "run `apt-get update`, or name a package such as xen-hypervisor-4.17-amd64"
    )
