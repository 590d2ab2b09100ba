# SPDX-License-Identifier: GPL-2.0-or-later
"""Booting a board once by network: an HTTP server that hands out an iPXE script for one boot.

A board whose firmware or DHCP server chains to /boot/MAC is given the script of the boot that was
offered to it, once, and kernel, ramdisk and Xen by the names in it. Whoever asks again is given
``exit``: the firmware continues with its own disk. Nothing of a request is ever a path here.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lab.errors import LabError
from lab.system.clock import now

LOG = "netboot.log"
EXIT = "#!ipxe\nexit\n"
# What iPXE would read as its own language ($, #, |, &, quotes) is not among these.
_WORDS = re.compile(r"[A-Za-z0-9_.,:=/+@ -]*")
_MOST_CONNECTIONS = 16
_MOST_LINES = 1000  # of a log: a board in a loop may ask for ever
_PATIENCE = 30.0  # seconds for a request, and for a client that stops reading


@dataclass(frozen=True)
class NetBoot:
    """What one boot of a board is made of. ``token`` is new for each boot."""

    mac: str  # in lower case, with colons
    token: str
    server: str  # HOST:PORT, as the board reaches the lab
    kernel: Path
    ramdisk: Path
    args: str  # the kernel's command line, the nonce in it
    xen: Path | None = None  # given: the kernel is dom0 on this hypervisor
    xen_args: str = ""
    address: str | None = None  # the board's own: nobody else gets anything

    def files(self) -> dict[str, Path]:
        """What may be fetched, by the names in the script."""
        found = {"kernel": self.kernel, "ramdisk": self.ramdisk}
        return found if self.xen is None else {"xen": self.xen, **found}


def write_script(boot: NetBoot) -> str:
    """The iPXE script. Addresses in it are whole: iPXE of 2019 completes no paths.

    Xen must be unpacked: iPXE of 2019 loads no compressed one.
    """
    for words in (boot.args, boot.xen_args):
        if not _WORDS.fullmatch(words):
            raise LabError(f"boot arguments that iPXE would not take as they are: {words!r}")
    folder = f"http://{boot.server}/boot/{boot.mac}/{boot.token}"
    if boot.xen is None:
        # By UEFI it is the kernel that looks for its ramdisk, by the name that iPXE gives it.
        words = f"initrd=ramdisk {boot.args}"
        loads = [f"kernel {folder}/kernel {words}", f"initrd {folder}/ramdisk"]
    else:
        loads = [
            f"kernel {folder}/xen {boot.xen_args}",
            f"module {folder}/kernel {boot.args}",
            f"module {folder}/ramdisk",
        ]
    lines = [f"{line.rstrip()} || exit" for line in [*loads, "boot"]]
    return "\n".join(["#!ipxe", *lines, ""])


@dataclass
class Offer:
    """One boot on offer, and what became of it. ``log`` gets a line for each request."""

    boot: NetBoot
    log: Path
    script: str
    given: bool = False
    came_back: float | None = None  # when it asked again after that, on the monotonic clock
    problem: str = ""  # why a file could not be sent
    taker: str = ""  # the address that has the script
    lines: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, peer: str) -> str:
        """The script for the first who asks; ``exit`` for everybody after."""
        with self.lock:
            if not self.given:
                self.given, self.taker = True, peer
                return self.script
            self.came_back = self.came_back or time.monotonic()
            return EXIT

    def may_fetch(self, peer: str, token: str) -> bool:
        """Only who has the script knows the token; a proxy that shares it is not the board."""
        with self.lock:
            return self.given and token == self.boot.token and peer == self.taker

    def note(self, peer: str, request: str, answer: str) -> None:
        """A line of the log, safe to show: requests are a stranger's."""
        with self.lock:
            self.lines += 1
            if self.lines <= _MOST_LINES:
                when = now()
                with self.log.open("a") as out:
                    out.write(f"{when} {peer} {request[:200]!a} {answer}\n")


class NetBootServer:
    """The lab's own, while a block runs; its threads end with the block.

    ``macs`` are those of the boards: others get nothing at all, not even ``exit``.
    """

    def __init__(self, listen: str, port: int, macs: Iterable[str]) -> None:
        self._where = (listen, port)
        self._macs = frozenset(macs)
        self._offers: dict[str, Offer] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> NetBootServer:
        try:
            self._http = _Http(self._where, self)
        except OSError as error:
            listen, port = self._where
            raise LabError(
                f"the lab cannot listen on {listen} port {port} for boards that boot by network "
                f"({error.strerror}): another run may be using it"
            ) from None
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, name="netboot"
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.cut_off()
        self._http.server_close()  # joins the threads of the connections

    @property
    def port(self) -> int:
        """Where it listens; the one that was asked for, unless that was 0."""
        return int(self._http.server_address[1])

    @contextlib.contextmanager
    def offer(self, boot: NetBoot, log: Path) -> Iterator[Offer]:
        """While the block runs the board is given this boot, once. LabError for a missing file."""
        for name, path in boot.files().items():
            if not path.is_file():
                raise LabError(f"there is no {name} {path} to boot the board with")
        made = Offer(boot, log, write_script(boot))
        log.touch()
        with self._lock:
            self._offers[boot.mac] = made
        try:
            yield made
        finally:
            with self._lock:
                del self._offers[boot.mac]

    def answer(self, peer: str, path: str) -> str | Path | None:
        """A script's text, a file, or nothing for the path of a request."""
        mac, rest = _read_path(path)
        with self._lock:
            offer = self._offers.get(mac)
        if offer is None:
            return EXIT if mac in self._macs and not rest else None
        found = _answer(offer, peer, rest)
        offer.note(peer, path, _name(offer, found))
        return found

    def report_failure(self, path: str, why: str) -> None:
        """A file that was found cannot be sent: whoever waits for the boot must hear of it."""
        mac, _ = _read_path(path)
        with self._lock:
            offer = self._offers.get(mac)
        if offer is not None:
            offer.problem = why


def _read_path(path: str) -> tuple[str, list[str]]:
    """The MAC of /boot/MAC/..., and what is behind it; no MAC for any other path.

    iPXE writes a MAC's colons as %3A.
    """
    parts = unquote(urlsplit(path).path).split("/")
    if parts[:2] != ["", "boot"] or len(parts) not in (3, 5):
        return "", []
    return parts[2].lower().replace("-", ":"), parts[3:]


def _answer(offer: Offer, peer: str, rest: list[str]) -> str | Path | None:
    if offer.boot.address is not None and peer != offer.boot.address:
        return None
    if not rest:
        return offer.take(peer)
    token, name = rest
    return offer.boot.files().get(name) if offer.may_fetch(peer, token) else None


def _name(offer: Offer, found: str | Path | None) -> str:
    """What is handed out, for the log."""
    if found is None:
        return "refused"
    if isinstance(found, str):
        return "the script" if found == offer.script else "exit"
    return f"the file {found.name}"


class _Http(ThreadingHTTPServer):
    """So many connections at once, all of which end with the server."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, where: tuple[str, int], netboot: NetBootServer) -> None:
        self.netboot = netboot
        self._open: set[socket.socket] = set()
        self._changing = threading.Lock()
        super().__init__(where, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changing:
            full = len(self._open) >= _MOST_CONNECTIONS
            if not full:
                self._open.add(request)
        if full:
            super().shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._changing:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut_off(self) -> None:
        """End what is still being sent."""
        with self._changing:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A board that is switched off breaks its connection: nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    timeout = _PATIENCE
    server_version = "lab"
    sys_version = ""

    def do_GET(self) -> None:
        found = self.server.netboot.answer(self.client_address[0], self.path)
        if found is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        elif isinstance(found, str):
            self._begin(len(found))
            self.wfile.write(found.encode())
        else:
            self._send(found)

    def _send(self, path: Path) -> None:
        try:
            content = path.open("rb")
        except OSError as error:
            why = f"{path} could not be sent to the board: {error.strerror}"
            self.server.netboot.report_failure(self.path, why)
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with content:
            self._begin(path.stat().st_size)
            shutil.copyfileobj(content, self.wfile)

    def _begin(self, size: int) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's)
        """Nothing on the terminal: netboot.log has what counts."""


class NetBootServers:
    """The servers of one run, each begun when a board first needs it."""

    def __init__(self, macs: Mapping[tuple[str, int], Iterable[str]]) -> None:
        """``macs``: the boards that boot from each address and port."""
        self._macs = macs
        self._made: dict[tuple[str, int], NetBootServer] = {}
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> NetBootServers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self, listen: str, port: int) -> NetBootServer:
        """Serving already, or from now on; LabError when the port cannot be had."""
        where = (listen, port)
        with self._lock:
            if where not in self._made:
                server = NetBootServer(listen, port, self._macs.get(where, ()))
                self._made[where] = self._stack.enter_context(server)
            return self._made[where]
