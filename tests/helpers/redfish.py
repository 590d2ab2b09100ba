# SPDX-License-Identifier: GPL-2.0-or-later
"""A second board without hardware: Redfish by sushy-tools over HTTPS, a serial line by raw TCP.

    power    sushy-tools' emulator, a libvirt domain in the embedded driver, in one process
    console  QEMU's serial port, socat's pair of terminals, ser2net without a protocol

Run as a program it is the BMC: `python -m tests.helpers.redfish FOLDER PORT SOCKETS`, with the
domain in FOLDER/domain.xml, who may log in in FOLDER/htpasswd, its certificate in FOLDER/bmc.pem,
and libvirt's own files in SOCKETS. The embedded driver's QEMU outlives its process: SIGTERM ends
both, so the process dies by that one.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import bcrypt

from lab.host.shell import free_port
from lab.host.virt import prepare_embedded
from lab.system.deadline import Deadline
from lab.system.process import tie
from tests.helpers.project import PROJECT
from tests.helpers.rig import PASSWORD, USER, Rig

NAME = "rack2"
_SECONDS = 60.0
_DOMAIN = """\
<domain type="qemu">
  <name>{name}</name>
  <memory unit="MiB">256</memory>
  <os>
    <type arch="x86_64" machine="q35">hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{ramdisk}</initrd>
    <cmdline>{words}</cmdline>
  </os>
  <cpu mode="maximum"/>
  <devices>
    <emulator>{qemu}</emulator>
    <serial type="dev"><source path="{near}"/><log file="{direct}" append="on"/></serial>
    <memballoon model="none"/>
  </devices>
</domain>
"""


class RedfishRig(Rig):
    """``machine``: QEMU's path, the kernel, the ramdisk and the kernel's words."""

    ACCEPTER = "tcp"

    def __init__(self, folder: Path, machine: Sequence[str]) -> None:
        super().__init__(folder, machine)
        self.redfish_port = free_port()
        # A socket's path has 107 characters at most, and pytest's folders have long names.
        self._sockets = tempfile.mkdtemp(prefix="bmc-")

    @property
    def certificate(self) -> Path:
        return self.folder / "bmc.pem"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.redfish_port}"

    def describe(self, **changes: Any) -> dict[str, Any]:
        return {
            "power": {
                "kind": "redfish", "url": self.url, "user": USER, "seconds": 20,
                "password_file": str(self.password), "ca_file": str(self.certificate),
            },
            "console": {"kind": "tcp", "address": "127.0.0.1", "port": self.console_port},
            **changes,
        }  # fmt: skip

    def start_bmc(self) -> None:
        """The BMC."""
        qemu, kernel, ramdisk, words = map(escape, self.machine)
        (self.folder / "domain.xml").write_text(
            _DOMAIN.format(
                name=NAME, qemu=qemu, kernel=kernel, ramdisk=ramdisk, words=words,
                near=self.folder / "near", direct=self.direct,
            )
        )  # fmt: skip
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (self.folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
        self._make_certificate()
        words_ = [sys.executable, "-m", "tests.helpers.redfish", str(self.folder)]
        with (self.folder / "bmc.log").open("ab") as log:
            words_ += [str(self.redfish_port), self._sockets]
            self._processes["bmc"] = subprocess.Popen(
                tie(words_, "TERM"), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=PROJECT, process_group=0,
            )  # fmt: skip
        Deadline(_SECONDS).wait_for(self._answers, "the BMC")

    def _make_certificate(self) -> None:
        key = self.folder / "bmc.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=bmc", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True,
        )  # fmt: skip

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.redfish_port)) == 0

    def stop(self) -> None:
        process = self._processes.pop("bmc", None)
        if process is not None:
            process.terminate()
            process.wait(30)
        shutil.rmtree(self._sockets, ignore_errors=True)
        super().stop()

    def power_state(self) -> str:
        """What an independent client sees: On or Off."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        systems = self._get("/redfish/v1/Systems", context)["Members"]
        return str(self._get(systems[0]["@odata.id"], context)["PowerState"])

    def _get(self, path: str, context: ssl.SSLContext) -> dict[str, Any]:
        login = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(  # noqa: S310 - our own https URL
            self.url + path, headers={"Authorization": f"Basic {login}"}
        )
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310
            return dict(json.load(answer))


def main(folder: Path, port: int, root: Path) -> None:
    import libvirt
    from sushy_tools.emulator.main import app

    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_events, daemon=True).start()
    connection = libvirt.open(prepare_embedded(root))
    domain = connection.defineXML((folder / "domain.xml").read_text())

    def end(*_signal: object) -> None:
        if domain.isActive():
            domain.destroy()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    # The embedded driver takes about ten opens in a process, and the emulator opens it each time.
    kept = _Kept(connection)
    libvirt.open = libvirt.openReadOnly = lambda _uri: kept
    app.config["SUSHY_EMULATOR_AUTH_FILE"] = str(folder / "htpasswd")
    app.config["SUSHY_EMULATOR_LIBVIRT_URI"] = "qemu:///embed"
    app.configure()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "bmc.pem", folder / "bmc.key")
    app.run(host="127.0.0.1", port=port, ssl_context=context)


class _Kept:
    """A connection that nobody closes."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def close(self) -> None:
        """Not before the process ends."""


def _run_events() -> None:
    import libvirt

    while True:
        libvirt.virEventRunDefaultImpl()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
