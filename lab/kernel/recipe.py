# SPDX-License-Identifier: GPL-2.0-or-later
"""How a stranger repeats a kernel build without this lab: pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def write_recipe(source: Sequence[str], make: Sequence[str], patched: bool) -> list[str]:
    """Lines of a shell script that is run where source.patch and fragments.config are."""
    command = " ".join(f'"{word}"' if "$PWD" in word else shlex.quote(word) for word in make)
    return [
        'from=$PWD; cd "$(mktemp -d)"; mkdir src obj',
        *source,
        *(['patch -p1 -d src -i "$from/source.patch"'] if patched else []),
        f'{command} KCONFIG_ALLCONFIG="$from/fragments.config" allnoconfig',
        f'{command} -j"$(nproc)" bzImage',
        'ls -l "$PWD/obj/arch/x86/boot/bzImage"',
    ]
