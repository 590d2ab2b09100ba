# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's own ssh keys: made once, in the cache, never in results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.system.cache import building, cache_dir, locked
from lab.system.process import run


@dataclass(frozen=True)
class Keys:
    """Private keys of the user who logs in and of the nested host, each with its .pub beside it."""

    folder: Path

    @property
    def identity(self) -> Path:
        return self.folder / "identity"

    @property
    def host(self) -> Path:
        return self.folder / "host"

    def public(self, private: Path) -> str:
        return private.with_suffix(".pub").read_text().strip()

    @classmethod
    def make(cls) -> Keys:
        """The keys in the cache, made first if they do not exist yet."""
        folder = cache_dir() / "keys"
        with locked(cache_dir() / "keys.lock"):
            if not folder.is_dir():
                with building(folder) as scratch:
                    scratch.chmod(0o700)
                    for name in ("identity", "host"):
                        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab-{name}"]
                        run([*argv, "-f", scratch / name])
        return cls(folder)
