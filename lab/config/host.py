# SPDX-License-Identifier: GPL-2.0-or-later
"""Where guests run: `host:` of lab.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from lab.config.hostkey import check_host_key
from lab.config.model import Model


class HostConfig(Model):
    """Where guests run."""

    kind: Literal["nested", "real"] = Field(
        "nested", description="nested: QEMU, managed by the lab. real: a Xen host reached by ssh."
    )
    memory_mib: int = Field(3072, ge=1024, description="Memory of the nested host, in MiB.")
    vcpus: int = Field(2, ge=1, le=64, description="Processors of the nested host.")
    accelerator: Literal["auto", "kvm", "tcg"] = Field(
        "auto", description="auto: KVM where booting Xen under it was seen to work, else TCG."
    )
    libvirt_uri: str | None = Field(
        None, description="A libvirt URI; by default qemu:///embed, which needs no daemon."
    )
    resume: bool = Field(
        True, description="nested: start from a state that was saved after a first boot."
    )
    guests_at_once: int = Field(
        2, ge=1, le=16, description="Guests side by side, as far as memory and vcpus go."
    )
    address: str | None = Field(None, description="real: host name or address.")
    port: int = Field(22, ge=1, le=65535, description="real: ssh port.")
    user: str = Field("root", description="real: the user that may run xl.")
    identity: Path | None = Field(None, description="real: private key file.")
    host_key: str | None = Field(
        None, description="real: the host's public key, 'ssh-ed25519 AAAA...'; it is pinned."
    )

    @field_validator("host_key")
    @classmethod
    def _public_key(cls, value: str | None) -> str | None:
        if value is not None:
            check_host_key(value)
        return value

    @model_validator(mode="after")
    def _real_needs_address(self) -> HostConfig:
        if self.kind == "real" and not (self.address and self.host_key):
            raise ValueError("a real host needs 'address' and 'host_key'")
        return self
