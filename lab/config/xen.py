# SPDX-License-Identifier: GPL-2.0-or-later
"""`xen:` and `xens:` of lab.yaml: hypervisors."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from lab.config.model import Args, Model, check_args

_OPTION = re.compile(r"CONFIG_[A-Z0-9_]+=[\w\"./-]+")


class XenConfig(Model):
    """A hypervisor: Debian's package, or at most one of file, source, tree."""

    package: str = Field(
        "auto",
        description="A Debian package, or auto: the newest xen-hypervisor of this Debian. "
        "The tools of the nested host's dom0 are always that version's.",
    )
    file: Path | None = Field(
        None, description="A built hypervisor (xen or xen.gz); relative to this file."
    )
    source: str | None = Field(None, description="A Debian source package (xen), built here.")
    tree: Path | None = Field(None, description="A Xen source tree, built here.")
    rev: str | None = Field(
        None, description="A revision of the tree; by default the tree as it is."
    )
    patches: list[Path] = Field(
        default_factory=list,
        description="Patches on the source or tree: diffs, series, mboxes, mails.",
    )
    options: list[str] = Field(
        default_factory=list,
        description="Options of Xen's configuration on top of its defconfig: CONFIG_PV32=y.",
    )
    args: Args = ""

    _args = field_validator("args")(check_args)

    @property
    def built(self) -> bool:
        """Whether it is made here from source."""
        return self.source is not None or self.tree is not None

    @property
    def packaged(self) -> bool:
        """Whether it is Debian's own, as in dom0's image."""
        return self.file is None and not self.built

    @model_validator(mode="after")
    def _one_origin(self) -> XenConfig:
        given = [key for key in ("file", "source", "tree") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"a hypervisor is from one of file, source, tree; here {given}")
        if self.patches and not self.built:
            raise ValueError("'patches' need a 'source' or 'tree' that they are applied to")
        if self.options and not self.built:
            raise ValueError("'options' need a 'source' or 'tree' that is built with them")
        wrong = [line for line in self.options if not _OPTION.fullmatch(line)]
        if wrong:
            raise ValueError(
                f"'options' are lines such as CONFIG_PV32=y or CONFIG_PV32=n, not {wrong[0]!r}"
            )
        if self.rev is not None and self.tree is None:
            raise ValueError("'rev' is a revision of a 'tree', which is not given")
        return self
