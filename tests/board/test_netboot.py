# SPDX-License-Identifier: GPL-2.0-or-later
"""What boards are handed by network: scripts as text, once, and nothing to anybody else."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.board.netboot import EXIT, NetBoot, NetBootServer, NetBootServers, Offer, write_script
from lab.errors import LabError

MAC = "52:54:00:12:34:56"
ASKED = "/boot/52%3A54%3A00%3A12%3A34%3A56"  # as iPXE writes it
NATIVE = """#!ipxe
kernel http://10.0.2.2:8069/boot/52:54:00:12:34:56/t0/kernel initrd=ramdisk \
console=ttyS0 mmx.run=cafe || exit
initrd http://10.0.2.2:8069/boot/52:54:00:12:34:56/t0/ramdisk || exit
boot || exit
"""
DOM0 = """#!ipxe
kernel http://10.0.2.2:8069/boot/52:54:00:12:34:56/t0/xen console=com1 lab=cafe || exit
module http://10.0.2.2:8069/boot/52:54:00:12:34:56/t0/kernel console=ttyS0 mmx.run=cafe || exit
module http://10.0.2.2:8069/boot/52:54:00:12:34:56/t0/ramdisk || exit
boot || exit
"""


def make(folder: Path, **changes: object) -> NetBoot:
    for name in ("kernel", "ramdisk", "xen"):
        (folder / name).write_bytes(name.encode() * 1000)
    values = {
        "mac": MAC, "token": "t0", "server": "10.0.2.2:8069", "kernel": folder / "kernel",
        "ramdisk": folder / "ramdisk", "args": "console=ttyS0 mmx.run=cafe", **changes,
    }  # fmt: skip
    return NetBoot(**values)  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[NetBootServer]:
    with NetBootServer("127.0.0.1", 0, [MAC, "52:54:00:00:00:02"]) as made:
        yield made


@pytest.fixture
def offer(server: NetBootServer, tmp_path: Path) -> Iterator[Offer]:
    with server.offer(make(tmp_path), tmp_path / "netboot.log") as made:
        yield made


def get(server: NetBootServer, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def read_to_end(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1000)
    except ConnectionError:
        return b""


def test_the_scripts(tmp_path: Path) -> None:
    assert write_script(make(tmp_path)) == NATIVE
    xen = {"xen": tmp_path / "xen", "xen_args": "console=com1 lab=cafe"}
    assert write_script(make(tmp_path, **xen)) == DOM0


@pytest.mark.parametrize("words", ["a || shell", "x=${net0/ip}", "a\nshell", "a;b", "'a'"])
def test_words_that_ipxe_would_take_for_its_own_are_refused(tmp_path: Path, words: str) -> None:
    with pytest.raises(LabError, match="iPXE would not take"):
        write_script(make(tmp_path, args=words))


def test_a_boot_is_given_once(server: NetBootServer, offer: Offer) -> None:
    assert get(server, f"{ASKED}/t0/kernel")[0] == 404  # nobody has the script yet
    assert get(server, ASKED) == (200, NATIVE)
    assert offer.came_back is None
    assert get(server, f"{ASKED}/t0/kernel") == (200, "kernel" * 1000)
    assert get(server, f"{ASKED}/t0/ramdisk")[1] == "ramdisk" * 1000
    assert get(server, ASKED) == (200, EXIT)
    assert offer.came_back is not None
    log = [line.split(" ", 1)[1] for line in offer.log.read_text().splitlines()]
    assert log == [
        f"127.0.0.1 '{ASKED}/t0/kernel' refused", f"127.0.0.1 '{ASKED}' the script",
        f"127.0.0.1 '{ASKED}/t0/kernel' the file kernel",
        f"127.0.0.1 '{ASKED}/t0/ramdisk' the file ramdisk", f"127.0.0.1 '{ASKED}' exit",
    ]  # fmt: skip


@pytest.mark.parametrize("way", [MAC, MAC.upper().replace(":", "-"), "52%3a54%3A00%3A12:34:56"])
def test_every_way_to_write_the_mac(server: NetBootServer, offer: Offer, way: str) -> None:
    assert get(server, f"/boot/{way}") == (200, offer.script)


@pytest.mark.parametrize(
    "path",
    [
        "/", "/boot", "/boot/", "/boot/52:54:00:00:00:99", "/boot/52:54:00:00:00:02/t0/kernel",
        f"{ASKED}/t1/kernel", f"{ASKED}/t0/xen", f"{ASKED}/t0/", f"{ASKED}/t0",
        f"{ASKED}/t0/../../../../etc/passwd", f"{ASKED}/t0/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        f"{ASKED}/t0/%2Fetc%2Fpasswd", "/etc/passwd", f"/files{ASKED}/t0/kernel",
        f"{ASKED}/t0/k%00",
    ],
)  # fmt: skip
def test_anybody_and_anything_else_gets_nothing(
    server: NetBootServer, offer: Offer, path: str
) -> None:
    get(server, ASKED)
    status, text = get(server, path)
    assert status == 404
    assert "root:" not in text
    assert offer.given


def test_boards_that_are_offered_nothing_go_on_to_their_disk(server: NetBootServer) -> None:
    assert get(server, ASKED) == (200, EXIT)
    assert get(server, "/boot/52:54:00:00:00:02") == (200, EXIT)


def test_only_the_boards_own_address(server: NetBootServer, tmp_path: Path) -> None:
    boot = make(tmp_path, address="192.0.2.7")
    with server.offer(boot, tmp_path / "log") as offer:
        assert get(server, ASKED)[0] == 404
        assert not offer.given
        assert offer.log.read_text().endswith(" refused\n")


def test_only_who_has_the_script_may_fetch(offer: Offer) -> None:
    offer.take("192.0.2.1")
    assert offer.may_fetch("192.0.2.1", "t0")
    assert not offer.may_fetch("192.0.2.2", "t0")


def test_a_file_that_is_missing_is_said_before_the_boot(
    server: NetBootServer, tmp_path: Path
) -> None:
    boot = make(tmp_path)
    boot.kernel.unlink()
    with pytest.raises(LabError, match="there is no kernel"), server.offer(boot, tmp_path / "log"):
        pass
    assert get(server, ASKED) == (200, EXIT)


def test_a_file_that_goes_meanwhile_is_said(server: NetBootServer, offer: Offer) -> None:
    get(server, ASKED)
    offer.boot.ramdisk.unlink()
    assert get(server, f"{ASKED}/t0/ramdisk")[0] == 404
    assert offer.problem == (
        f"{offer.boot.ramdisk} could not be sent to the board: No such file or directory"
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "DELETE"])
def test_other_requests_are_refused(server: NetBootServer, offer: Offer, method: str) -> None:
    assert get(server, ASKED, method)[0] == 501
    assert not offer.given


def test_what_a_stranger_asks_is_safe_to_show(server: NetBootServer, offer: Offer) -> None:
    assert server.answer("192.0.2.1", f"{ASKED}/t0/\x1b[31m{'x' * 5000}") is None
    line = offer.log.read_text()
    assert "\x1b" not in line
    assert len(line) < 400


def test_the_threads_end_with_the_block(tmp_path: Path) -> None:
    before = threading.active_count()
    with (
        NetBootServer("127.0.0.1", 0, [MAC]) as server,
        server.offer(make(tmp_path), tmp_path / "log"),
        socket.create_connection(("127.0.0.1", server.port)) as silent,
    ):
        silent.sendall(b"GET /boot")  # and nothing more
        get(server, ASKED)
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_so_many_connections_and_no_more(server: NetBootServer) -> None:
    held = [socket.create_connection(("127.0.0.1", server.port), 10) for _ in range(16)]
    extra = socket.create_connection(("127.0.0.1", server.port), 10)
    extra.sendall(f"GET {ASKED} HTTP/1.0\r\n\r\n".encode())
    assert read_to_end(extra) == b""
    for one in [*held, extra]:
        one.close()


def test_a_port_that_is_taken_is_one_sentence(server: NetBootServer) -> None:
    with (
        NetBootServers({("127.0.0.1", server.port): [MAC]}) as servers,
        pytest.raises(LabError, match=r"cannot listen on 127\.0\.0\.1 port \d+ .* another run"),
    ):
        servers.get("127.0.0.1", server.port)


def test_boards_of_one_port_share_a_server() -> None:
    with NetBootServers({("127.0.0.1", 0): [MAC]}) as servers:
        assert servers.get("127.0.0.1", 0) is servers.get("127.0.0.1", 0)
