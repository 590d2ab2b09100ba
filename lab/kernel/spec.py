# SPDX-License-Identifier: GPL-2.0-or-later
"""What is built: a source, patches, a configuration, a compiler. Its key is of their content."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from lab.kernel import fixup as fixups
from lab.kernel import trimming
from lab.kernel.baseconfig import BaseConfig
from lab.kernel.fixup_table import TABLE
from lab.kernel.source import Source
from lab.system.files import sha256_of
from lab.system.process import run

_VERSION = "1"  # of this builder: a change here that changes kernels raises it


@dataclass(frozen=True)
class BuildSpec:
    """What is built, on top of allnoconfig, later fragments over earlier ones.

    Of ``base`` what the version does not have is left out; all of ``fragments`` must take.
    ``compiler`` may be words, such as `gcc-11 -g`. ``config``: a whole configuration below
    ``base``, of which the preemption model and the allocator win over it.
    """

    name: str
    source: Source
    patches: tuple[Path, ...] = ()
    fragments: tuple[Path, ...] = ()
    make_vars: tuple[tuple[str, str], ...] = ()
    compiler: str = "gcc"
    facts: dict[str, str] = field(default_factory=dict)  # more provenance
    base: tuple[Path, ...] = ()
    config: BaseConfig | None = None

    def work_key(self) -> str:
        """What an object folder depends on, except revision and patches."""
        return self._key(self.source.place)

    def key(self) -> str:
        return self._whole_key

    @functools.cached_property  # of the source as it was when the build began
    def _whole_key(self) -> str:
        mended = [fixup.identity for fixup in fixups.consider(TABLE, self.source.release)]
        patches = (path.read_bytes() for path in list_files(self.patches))
        return sha256_of(self._key(self.source.id), *mended, *patches)[:16]

    def _key(self, source: str) -> str:
        base = [path.read_text() for path in self.base]
        return sha256_of(
            _VERSION, source, self.compiler, read_compiler_version(self.compiler),
            json.dumps(self.make_vars), *(path.read_text() for path in self.fragments),
            *([json.dumps(base)] if base else []),
            *([trimming.identify(), self.config.text] if self.config else []),
        )[:16]  # fmt: skip


def list_files(patches: tuple[Path, ...]) -> list[Path]:
    """The files of patches, those in folders included."""
    found: list[Path] = []
    for path in patches:
        found += sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return found


@functools.cache
def read_compiler_version(compiler: str) -> str:
    """The first line that it prints of itself."""
    return run([*compiler.split(), "--version"]).splitlines()[0]


@functools.cache
def read_compiler_major(compiler: str) -> int:
    """12 of gcc 12.2.0; 0 for one that does not say."""
    found = re.match(r"(\d+)", run([*compiler.split(), "-dumpversion"]).strip())
    return int(found.group(1)) if found else 0
