# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine with power, a serial console and a way to boot: `boards:` of lab.yaml.

Nothing here touches the network or a file: passwords are read where they are used.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from lab.config.hostkey import check_host_key
from lab.config.model import Model
from lab.config.secret import Login, check_needed, check_no_login, check_words

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_ADDRESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_PDU_MODEL = re.compile(r"[a-z][a-z0-9_]*")

Seconds = Annotated[
    int, Field(ge=1, le=600, description="How long one switching may take, at most.")
]
Port = Annotated[int, Field(ge=1, le=65535)]


def check_address(value: str) -> str:
    """A host name or an IP address as it is; ValueError for a URL, a port, a space."""
    if not _ADDRESS.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a host name or an IP address: write the port under 'port:'"
        )
    return value


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class IpmiPower(Login):
    """A BMC that speaks IPMI 2.0 over the network (RMCP+)."""

    kind: Literal["ipmi"]
    address: str = Field(description="The BMC's host name or address.")
    port: Port = 623
    privilege: Literal["operator", "administrator"] = Field(
        "operator", description="The level to log in with; switching needs no more than operator."
    )
    seconds: Seconds = 60

    _address = field_validator("address")(check_address)

    @model_validator(mode="after")
    def _login(self) -> IpmiPower:
        check_needed(self)
        return self


class RedfishPower(Login):
    """A BMC that speaks Redfish."""

    kind: Literal["redfish"]
    url: str = Field(description="Such as https://bmc.example; http only for this machine itself.")
    system: str | None = Field(
        None, description="Such as /redfish/v1/Systems/1; by default the only one that there is."
    )
    ca_file: Path | None = Field(
        None, description="The certificate, or the authority's, that the BMC is known by (PEM)."
    )
    seconds: Seconds = 60

    @field_validator("url")
    @classmethod
    def _https(cls, value: str) -> str:
        check_no_login(value)
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError(f"{value!r} should read https://HOST or https://HOST:PORT")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError(
                f"{value!r} would send the password in the clear: use https://, "
                "with ca_file: where the BMC signs its certificate itself"
            )
        return value.rstrip("/")

    @model_validator(mode="after")
    def _login(self) -> RedfishPower:
        check_needed(self)
        return self


class PduPower(Login):
    """An outlet of a power distribution unit, by labgrid's back end for its model."""

    kind: Literal["pdu"]
    model: str = Field(description="labgrid's name of the back end, such as gude24 or rest.")
    host: str = Field(description="Its address; for rest and simplerest a URL with {index}.")
    index: int = Field(ge=0, description="The outlet's number.")
    seconds: Seconds = 60

    @field_validator("model")
    @classmethod
    def _model(cls, value: str) -> str:
        if not _PDU_MODEL.fullmatch(value):
            raise ValueError(f"{value!r} is not a model of labgrid's: gude24 or rest would be one")
        return value

    @field_validator("host")
    @classmethod
    def _host(cls, value: str) -> str:
        if "://" in value:
            check_no_login(value)
            return value
        return check_address(value)

    @model_validator(mode="after")
    def _login_needs_url(self) -> PduPower:
        if self.has_password and "://" not in self.host:
            raise ValueError("a user and a password go with a host that is a URL")
        return self


class LabgridPower(Model):
    """A place of a labgrid coordinator, with what switches it."""

    kind: Literal["labgrid"]
    place: str = Field(description="The place's name; it is acquired while the board is used.")
    coordinator: str = Field(
        "127.0.0.1:20408",
        description="HOST:PORT. Nothing of it is encrypted: this machine, or an ssh tunnel.",
    )
    seconds: Seconds = 60

    @field_validator("place")
    @classmethod
    def _one_word(cls, value: str) -> str:
        if not _TAG.fullmatch(value):
            raise ValueError(f"{value!r} is not a place's name: use letters, digits and ._+-")
        return value

    @field_validator("coordinator")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ValueError(f"{value!r} should read HOST:PORT, such as 127.0.0.1:20408")
        check_address(host)
        return value


class CommandPower(Model):
    """Programs that switch the board."""

    kind: Literal["command"]
    on: list[str] = Field(description="A program and its words that switch it on.")
    off: list[str] = Field(description="... that switch it off, at once.")
    status: list[str] = Field(description="... that print 'on' or 'off', as it is.")
    seconds: Seconds = 60

    _words = field_validator("on", "off", "status")(check_words)


class Rfc2217Console(Model):
    """A terminal server's port by RFC 2217 (telnet that sets speed), such as ser2net's."""

    kind: Literal["rfc2217"]
    address: str = Field(description="The terminal server's host name or address.")
    port: Port

    _address = field_validator("address")(check_address)


class TcpConsole(Model):
    """A port whose bytes are the serial port's, without any protocol."""

    kind: Literal["tcp"]
    address: str = Field(description="The terminal server's host name or address.")
    port: Port

    _address = field_validator("address")(check_address)


class DeviceConsole(Model):
    """A serial device of this machine."""

    kind: Literal["device"]
    path: Path = Field(description="Such as /dev/serial/by-id/usb-FTDI_...")

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError(f"{str(value)!r} should be a path such as /dev/ttyUSB0")
        return value


class CommandConsole(Model):
    """A program whose output is the console's bytes, such as `ipmitool sol activate`."""

    kind: Literal["command"]
    command: list[str] = Field(description="The program and its words; it gets a terminal.")

    _words = field_validator("command")(check_words)


class NetworkBoot(Model):
    """It boots from the network by iPXE, which asks the lab over HTTP what to boot."""

    kind: Literal["network"]
    address: str = Field(description="The lab's address as the board reaches it.")
    port: Port = 8069
    listen: str = Field(
        "127.0.0.1", description="This machine's address to listen on; by default only its own."
    )
    board_address: str | None = Field(
        None, description="The board's IP address; nobody else is then given anything."
    )

    _address = field_validator("address")(check_address)

    @field_validator("listen", "board_address")
    @classmethod
    def _ip(cls, value: str | None) -> str | None:
        try:
            return value if value is None else str(ipaddress.IPv4Address(value))
        except ValueError:
            raise ValueError(f"{value!r} is not an IPv4 address such as 192.168.7.1") from None


class GrubBoot(Model):
    """Its own GRUB boots the lab's entry once; files go there by ssh."""

    kind: Literal["grub"]
    folder: Path = Field(
        Path("/boot/lab"), description="Where on the board kernels and ramdisks are put."
    )


class BoardSsh(Model):
    """How the board's known-good system is reached."""

    address: str = Field(description="Host name or address.")
    port: Port = 22
    user: str = Field("root", description="The user; it writes below /boot for grub.")
    identity: Path | None = Field(None, description="Private key file.")
    host_key: str = Field(
        description="The system's public key, 'ssh-ed25519 AAAA...'; it is pinned."
    )

    _address = field_validator("address")(check_address)

    @field_validator("host_key")
    @classmethod
    def _public_key(cls, value: str) -> str:
        check_host_key(value)
        return value


Power = Annotated[
    IpmiPower | RedfishPower | PduPower | LabgridPower | CommandPower, Field(discriminator="kind")
]
Console = Annotated[
    Rfc2217Console | TcpConsole | DeviceConsole | CommandConsole, Field(discriminator="kind")
]
BootWay = Annotated[NetworkBoot | GrubBoot, Field(discriminator="kind")]

_PARTS: dict[str, dict[str, type[Model]]] = {
    "power": {
        "ipmi": IpmiPower, "redfish": RedfishPower, "pdu": PduPower,
        "labgrid": LabgridPower, "command": CommandPower,
    },
    "console": {
        "rfc2217": Rfc2217Console, "tcp": TcpConsole, "device": DeviceConsole,
        "command": CommandConsole,
    },
    "boot": {"network": NetworkBoot, "grub": GrubBoot},
}  # fmt: skip


class BoardConfig(Model):
    """One machine: how it is switched, heard and booted."""

    power: Power = Field(description="How it is switched on and off.")
    console: Console = Field(description="Where its serial port's bytes come from.")
    boot: BootWay | None = Field(None, description="How a kernel under test gets onto it.")
    ssh: BoardSsh | None = Field(None, description="Its known-good system.")
    mac: str | None = Field(
        None, description="Of the network card that it boots from, such as 52:54:00:12:34:56."
    )
    serial: Literal["com1", "com2"] = Field(
        "com1", description="The board's serial port that the console is connected to."
    )
    speed: int = Field(115200, ge=1200, le=4_000_000, description="The serial port's, in baud.")
    memory_mib: int = Field(2048, ge=512, description="The memory that it has, in MiB.")
    tags: list[str] = Field(default_factory=list, description="Words to choose boards by.")

    @field_validator("mac")
    @classmethod
    def _six_bytes(cls, value: str | None) -> str | None:
        if value is None:
            return None
        plain = value.lower().replace("-", ":")
        if not _MAC.fullmatch(plain):
            raise ValueError(f"{value!r} is not a MAC address: 52:54:00:12:34:56 would be one")
        return plain

    @field_validator("tags")
    @classmethod
    def _words(cls, value: list[str]) -> list[str]:
        for tag in value:
            if not _TAG.fullmatch(tag):
                raise ValueError(f"{tag!r} is not a tag: use letters, digits and ._+-")
        return value

    @model_validator(mode="after")
    def _boot_has_what_it_needs(self) -> BoardConfig:
        if isinstance(self.boot, NetworkBoot) and self.mac is None:
            raise ValueError("boot.kind network needs 'mac', by which iPXE asks for the board")
        if isinstance(self.boot, GrubBoot) and self.ssh is None:
            raise ValueError("boot.kind grub needs 'ssh', by which kernels get onto the board")
        return self

    def absolute(self, base: Path) -> BoardConfig:
        """The same with paths made absolute, from the configuration's folder."""
        change = {
            part: _rebase(model, base)
            for part in ("power", "ssh")
            if (model := getattr(self, part)) is not None
        }
        return self.model_copy(update=change)


def _rebase(model: Model, base: Path) -> Model:
    paths = {
        key: base / value.expanduser()
        for key in ("password_file", "ca_file", "identity")
        if isinstance(value := getattr(model, key, None), Path)
    }
    return model.model_copy(update=paths)


def find_model(location: Sequence[Any]) -> type[Model]:
    """The model at a location within a board, as pydantic writes it: (), (part, kind)."""
    if not location:
        return BoardConfig
    if location[0] == "ssh":
        return BoardSsh
    return _PARTS[str(location[0])][str(location[1])]


def hide_kind(location: Sequence[Any]) -> tuple[Any, ...]:
    """A location within a board as the user wrote it: pydantic adds the part's kind."""
    if len(location) > 1 and location[1] in _PARTS.get(str(location[0]), {}):
        return (location[0], *location[2:])
    return tuple(location)
