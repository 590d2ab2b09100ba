# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel is: its entry in lab.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from lab.config.model import Args, Model, check_args
from lab.errors import UserError

KERNEL_ORG = "https://cdn.kernel.org/pub/linux/kernel"  # the mirror by default
SOURCES = ("image", "package", "deb", "control", "tree", "release", "supplied", "rpm")
# Keys that only a kernel which is built may have, and their defaults.
_OF_A_BUILD: dict[str, object] = {
    "patches": [], "config": None, "fragments": [], "make": {}, "compiler": None,
}  # fmt: skip
_MAKE_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_RELEASE = re.compile(r"2\.6\.\d{1,2}(\.\d{1,2})?|([3-9]|[1-9]\d)\.\d{1,2}(\.\d{1,3})?")
_COMPILER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]*")


class KernelConfig(Model):
    """One kernel: exactly one of image, package, deb, control, tree, release, supplied, rpm."""

    image: Path | None = Field(None, description="A bzImage; relative to this file.")
    package: str | None = Field(
        None, description="A Debian package by name, e.g. linux-image-amd64."
    )
    deb: Path | None = Field(None, description="A Debian kernel package as a .deb file.")
    rpm: Path | None = Field(None, description="A kernel package of the RPM kind as an .rpm file.")
    control: Literal["bad", "fixed"] | None = Field(
        None, description="The control kernel: with the old mistake, or with the seed's fix."
    )
    tree: str | None = Field(
        None, description="A Linux source tree to build: a folder or a git URL."
    )
    release: str | None = Field(
        None, description="A release of kernel.org to build, by version, such as 3.19.8."
    )
    supplied: str | None = Field(
        None, description="What the user has to supply by --kernel NAME=BZIMAGE, in words."
    )
    rev: str | None = Field(None, description="tree: a git revision; by default the tree as it is.")
    patches: list[Path] = Field(
        default_factory=list,
        description="tree, release: diffs, series, mboxes, mails, applied in this order.",
    )
    config: Path | None = Field(
        None,
        description="tree, release: a whole .config to begin with, such as /boot/config-VERSION, "
        "or a bzImage or vmlinux that holds its own (CONFIG_IKCONFIG). What cannot be used here "
        "is cut, and the lab's fragments come on top.",
    )
    fragments: list[Path] = Field(
        default_factory=list,
        description="tree, release: configuration on top of the lab's fragments.",
    )
    make: dict[str, str] = Field(
        default_factory=dict, description="tree, release: more make variables."
    )
    compiler: str | None = Field(
        None,
        description="tree, release: such as gcc-11; by default gcc, for old trees the oldest here.",
    )
    carries: str | None = Field(
        None,
        max_length=200,
        description="Another fix that this kernel is known to carry, in words: a clean cell then "
        "says nothing about the fix under test and is VACUOUS. "
        "Empty: none, or the fix under test itself.",
    )
    args: Args = ""

    _args = field_validator("args")(check_args)

    @field_validator("release", mode="before")
    @classmethod
    def _version(cls, value: object) -> object:
        if isinstance(value, float | int):
            raise ValueError(
                f"a version of two numbers is written in quotes, '3.10': YAML reads {value} here"
            )
        if isinstance(value, str) and not is_release(value):
            raise ValueError(f"{value!r} is not a release of Linux: 2.6.32, 3.2 or 3.19.8 would be")
        return value

    @field_validator("make")
    @classmethod
    def _variables(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not _MAKE_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a make variable: KCFLAGS would be one")
        return value

    @field_validator("compiler")
    @classmethod
    def _one_word(cls, value: str | None) -> str | None:
        if value is not None and not _COMPILER.fullmatch(value):
            raise ValueError(f"{value!r} is not a compiler's name: gcc-11 would be one")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> KernelConfig:
        given = [key for key in SOURCES if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            raise ValueError(f"a kernel has exactly one of {', '.join(SOURCES)}; here {found}")
        if self.tree is None and self.release is None:
            extra = [key for key in _OF_A_BUILD if getattr(self, key) != _OF_A_BUILD[key]]
            extra = ["rev"] if self.rev is not None else extra
            if extra:
                raise ValueError(f"{extra[0]!r} belongs to a 'tree', this kernel is not built")
        if self.release is not None and self.rev is not None:
            raise ValueError("'rev' belongs to a 'tree': a release is named by its version alone")
        return self

    def absolute(self, base: Path) -> KernelConfig:
        """The same with paths made absolute, from the configuration's folder."""
        change: dict[str, object] = {
            key: base / value.expanduser()
            for key in ("image", "deb", "rpm", "config")
            if (value := getattr(self, key)) is not None
        }
        for key in ("patches", "fragments"):
            change[key] = [base / path.expanduser() for path in getattr(self, key)]
        if self.tree is not None and "://" not in self.tree:
            change["tree"] = str(base / Path(self.tree).expanduser())
        return self.model_copy(update=change)


def is_release(word: str) -> bool:
    """Whether a word is a version as kernel.org names its releases, candidates aside."""
    return _RELEASE.fullmatch(word) is not None


def check_trees(kernels: Mapping[str, KernelConfig], names: Sequence[str], where: str) -> None:
    """ValueError for a name that is not of a kernel with a tree."""
    trees = [name for name, kernel in kernels.items() if kernel.tree is not None]
    for name in names:
        if name not in trees:
            known = ", ".join(trees) or "none"
            raise ValueError(f"{where}: {name!r} is not a kernel with a tree (there are {known})")


def supply(kernels: Mapping[str, KernelConfig], words: Sequence[str]) -> dict[str, KernelConfig]:
    """The kernels with those of NAME=BZIMAGE words; UserError for an unknown name or file."""
    made = dict(kernels)
    for word in words:
        name, _, path = word.partition("=")
        if name not in made:
            raise UserError(f"--kernel {word}: there is no kernel {name!r} in this configuration")
        image = Path(path).expanduser().resolve()
        if not path or not image.is_file():
            raise UserError(f"--kernel {word}: should read NAME=BZIMAGE with a file that exists")
        old = made[name]
        made[name] = KernelConfig(image=image, args=old.args, carries=old.carries)
    return made
