# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands on a host over ssh. The one owner of fabric and paramiko.

The host's key is pinned: a host that shows another one is refused. No agent, no keys of the
user's, no ~/.ssh/config: what works here works everywhere.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import secrets
import shlex
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import paramiko
from fabric import Config, Connection

from lab.errors import LabError
from lab.host.address import Address

# Its threads print tracebacks of broken connections; ours report them in a sentence.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)
_STALLED = 60.0  # seconds in which nothing of a copy moves
_TROUBLE = (OSError, EOFError, paramiko.SSHException)


class WrongKeyError(LabError):
    """The host is not the one whose key is pinned: waiting does not help."""


class Shell:
    """Created without touching the network; opened by the first command; closed by ``close``."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._connection: Connection | None = None
        self._given: Connection | None = None

    @classmethod
    def over(cls, connection: Connection) -> Shell:
        """By a connection of fabric's own making, as `fab` has it."""
        made = cls(Address(connection.host, connection.port, connection.user, Path(), ""))
        made._given = connection
        return made

    def connection(self, timeout: float = 15) -> Connection:
        """The open fabric connection; LabError when the host does not answer as it should."""
        if self._connection is None or not self._connection.is_connected:
            made = self._given or self._make(timeout)
            try:
                made.open()
            except paramiko.BadHostKeyException as error:
                made.close()
                raise WrongKeyError(
                    f"{self._where()} showed another host key than the pinned one"
                ) from error
            except _TROUBLE as error:
                made.close()
                raise LabError(f"{self._where()} does not answer by ssh: {error}") from error
            self._connection = made
        return self._connection

    def run(self, argv: Sequence[str], timeout: float = 60) -> str:
        """Standard output of a command; LabError when it fails or takes longer than ``timeout``."""
        code, out, err = self.attempt(argv, timeout)
        if code != 0:
            said = (err or out).strip().splitlines()
            raise LabError(f"{argv[0]} on {self._where()} failed ({code}): {' '.join(said)[:300]}")
        return out

    def attempt(self, argv: Sequence[str], timeout: float = 60) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command that may fail."""
        connection = self.connection()
        try:
            done = connection.run(
                shlex.join(argv), hide=True, warn=True, timeout=timeout, in_stream=False
            )
        except Exception as error:  # invoke wraps what its threads raise
            self.close()
            raise LabError(f"{argv[0]} on {self._where()}: {type(error).__name__}") from error
        return done.return_code, done.stdout, done.stderr

    def put(self, local: Path, remote: str) -> None:
        """Copy a file; it appears under its name only when it is whole."""
        self._send(local.read_bytes(), remote)

    def write(self, text: str, remote: str) -> None:
        """Write a small text file."""
        self._send(text.encode(), remote)

    def _send(self, data: bytes, remote: str) -> None:
        """Through `cat`: an emulated host takes twice as long over sftp (docs/speed.md)."""
        part, name = shlex.quote(f"{remote}.{secrets.token_hex(4)}"), shlex.quote(remote)
        whole = f'cat >{part} && test "$(stat -c %s {part})" = {len(data)} && mv {part} {name}'
        transport = self.connection().client.get_transport()
        try:
            with contextlib.closing(transport.open_session(timeout=30)) as channel:
                channel.settimeout(_STALLED)
                channel.exec_command(whole)
                channel.sendall(data)
                channel.shutdown_write()
                if not channel.status_event.wait(_STALLED) or channel.recv_exit_status() != 0:
                    said = channel.recv_stderr(300).decode(errors="replace").strip()
                    raise LabError(f"copying to {remote} on {self._where()} failed: {said}")
        except _TROUBLE as error:
            self.close()
            raise LabError(f"copying to {remote} on {self._where()} failed: {error}") from error

    def stream(self, argv: Sequence[str]) -> Stream:
        """Start a command whose raw output is read as it comes."""
        transport = self.connection().client.get_transport()
        try:
            channel = transport.open_session(timeout=30)
            channel.exec_command(shlex.join(argv))
        except _TROUBLE as error:
            raise LabError(f"{argv[0]} on {self._where()} did not start: {error}") from error
        return Stream(channel)

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*_TROUBLE):
                self._connection.close()
            self._connection = None

    def _where(self) -> str:
        return f"{self.address.host}:{self.address.port}"

    def _make(self, timeout: float) -> Connection:
        known = self.address
        connection = Connection(
            known.host,
            user=known.user,
            port=known.port,
            config=Config(overrides={"load_ssh_configs": False}),
            connect_timeout=int(timeout),
            connect_kwargs={
                "key_filename": str(known.identity),
                "allow_agent": False,
                "look_for_keys": False,
                "banner_timeout": timeout,
                "auth_timeout": timeout,
            },
        )
        kind, key = known.host_key.split()[:2]
        name = known.host if known.port == 22 else f"[{known.host}]:{known.port}"
        loaded = paramiko.PKey.from_type_string(kind, base64.b64decode(key))
        connection.client.get_host_keys().add(name, kind, loaded)
        connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        return connection


class Stream:
    """The raw output of a running command."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()

    def read(self, timeout: float) -> bytes | None:
        """What has come within ``timeout`` seconds, possibly nothing; None at its end."""
        self._channel.settimeout(timeout)
        try:
            return self._channel.recv(65536) or None
        except TimeoutError:
            return b""
        except (OSError, EOFError, paramiko.SSHException):
            return None


def free_port() -> int:
    """A TCP port that nothing listens on now, on the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether an ssh server greets at a port of this machine."""
    return greets("127.0.0.1", port)


def greets(host: str, port: int, seconds: float = 5) -> bool:
    """Whether an ssh server greets there; QEMU accepts before the host behind it listens."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as probe:
            probe.settimeout(seconds)
            return probe.recv(4) == b"SSH-"
    except OSError:
        return False
