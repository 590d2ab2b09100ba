# SPDX-License-Identifier: GPL-2.0-or-later
"""Places of a labgrid coordinator: a real one with a real exporter, on the loopback address."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lab.board.board import open_board
from lab.board.lock import HeldError, myself
from lab.board.place import is_dead
from lab.board.power import Power
from lab.config.board import BoardConfig
from lab.errors import LabError, UserError
from lab.host.shell import free_port
from lab.system.deadline import Deadline
from lab.system.process import tie
from tests.helpers.project import PROJECT

pytestmark = pytest.mark.boots  # no QEMU, but half a minute of processes
BIN = Path(sys.executable).parent


class Outlet(BaseHTTPRequestHandler):
    """What the place's power resource leads to."""

    state = b"0"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(Outlet.state)

    def do_PUT(self) -> None:
        Outlet.state = self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_words: object) -> None:
        """Not on the terminal."""


class Site:
    """A coordinator with one place, `rack1`, that has an outlet."""

    def __init__(self, folder: Path, outlet: int) -> None:
        self.folder = folder
        self.coordinator = f"127.0.0.1:{free_port()}"
        (folder / "exports.yaml").write_text(
            f"racks:\n  NetworkPowerPort:\n    model: rest\n    index: '3'\n"
            f"    host: http://127.0.0.1:{outlet}/outlet/{{index}}\n"
        )
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self._run("labgrid-coordinator", "-l", self.coordinator)
        Deadline(60).wait_for(lambda: self.client("places") is not None, "the coordinator")
        self._run("labgrid-exporter", "-c", self.coordinator, "-n", "here", "exports.yaml")
        Deadline(60).wait_for(lambda: "here/racks" in (self.client("resources") or ""), "exports")
        self.client("-p", "rack1", "create")
        self.client("-p", "rack1", "add-match", "here/racks/*")

    def _run(self, *words: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    tie([str(BIN / words[0]), *words[1:]]), stdout=log, stderr=log, cwd=self.folder
                )
            )

    def client(self, *words: str, user: str = "alice") -> str | None:
        """What labgrid's own client says; None when it fails."""
        done = subprocess.run(
            [BIN / "labgrid-client", "-x", self.coordinator, *words],
            capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "LG_USERNAME": user},
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else None

    @property
    def holder(self) -> str:
        said = self.client("-p", "rack1", "show") or ""
        return next(line.split()[-1] for line in said.splitlines() if "acquired:" in line)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    @property
    def config(self) -> BoardConfig:
        return BoardConfig.model_validate(
            {
                "power": {
                    "kind": "labgrid", "place": "rack1", "coordinator": self.coordinator,
                    "seconds": 20,
                },
                "console": {"kind": "tcp", "address": "127.0.0.1", "port": 1},
            }
        )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = HTTPServer(("127.0.0.1", 0), Outlet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made = Site(tmp_path_factory.mktemp("site"), server.server_port)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_place_is_had_while_the_board_is_and_switched(site: Site) -> None:
    with open_board("b1", site.config) as board:
        me = myself()
        assert site.holder.endswith(f"/xen-fpu-lab-{me.pid}-{me.started}")
        board.power.on()
        assert Outlet.state == b"1"
        assert board.power.is_on()
    assert Outlet.state == b"0"
    assert site.holder == "None"
    assert not Power("b1", site.config.power).is_on()  # needs no acquisition


def test_somebody_elses_place_is_left_alone(site: Site) -> None:
    site.client("-p", "rack1", "acquire", user="bob")
    said = r"^b1: the labgrid place rack1 is held by [^/]+/bob$"
    with pytest.raises(HeldError, match=said), open_board("b1", site.config):
        pass
    assert site.holder.endswith("/bob")
    site.client("-p", "rack1", "release", user="bob")


HOLDER = """
import sys, time
from lab.board.board import open_board
from lab.config.board import BoardConfig
with open_board("b1", BoardConfig.model_validate_json(sys.argv[1])) as board:
    board.power.on()
    print("on", flush=True)
    time.sleep(600)
"""


def test_a_dead_labs_place_is_freed_by_the_next(site: Site) -> None:
    words = [sys.executable, "-c", HOLDER, site.config.model_dump_json()]
    with subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"on\n"
        holder = site.holder
        assert not is_dead(holder)
        os.kill(process.pid, signal.SIGKILL)
    assert is_dead(holder)
    assert (site.holder, Outlet.state) == (holder, b"1")  # no lease: it would be so for ever
    with open_board("b1", site.config) as board:
        assert board.left is not None
        assert site.holder != holder
        assert Outlet.state == b"0"
    assert site.holder == "None"


def test_what_is_wrong_is_one_sentence(site: Site) -> None:
    power = site.config.power.model_dump()
    for change, kind, said in (
        (
            {"place": "rack9"},
            UserError,
            r"^boards\.b1\.power\.place: .* no place 'rack9' \(rack1",
        ),
        ({"coordinator": f"127.0.0.1:{free_port()}"}, LabError, r"^b1: the labgrid coordinator at"),
    ):
        config = BoardConfig.model_validate(
            {**site.config.model_dump(), "power": {**power, **change, "seconds": 5}}
        )
        with pytest.raises(kind, match=said) as caught, open_board("b1", config):
            pass
        assert "\n" not in str(caught.value)
